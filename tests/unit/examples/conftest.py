"""The scan example keeps its files in a folder of these tests' own."""

import os
import tempfile

# Here and not in a fixture: the example reads it when it is imported.
_folder = tempfile.TemporaryDirectory(prefix="polypool-scan-tests-")
os.environ["SCAN_DIR"] = _folder.name


def pytest_unconfigure() -> None:
    """Remove the folder; xdist's processes end without clearing up by themselves."""
    _folder.cleanup()
