"""The scan example keeps its files in a folder of these tests' own."""

import os
import tempfile

# Here and not in a fixture: the example reads it when it is imported. The folder goes with this process.
_folder = tempfile.TemporaryDirectory(prefix="polypool-scan-tests-")
os.environ["SCAN_DIR"] = _folder.name
