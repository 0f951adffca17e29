"""Where the scan example keeps its files, and which broker and models it uses; all from the environment."""

import os
import tempfile
from pathlib import Path

FOLDER = Path(os.environ.get("SCAN_DIR") or Path(tempfile.gettempdir(), "polypool-scan"))
"""Photos, the cache of characters and, unless told otherwise, the queue. API and worker must agree on it."""

BROKER = os.environ.get("POLYPOOL_BROKER") or f"sqlite:///{FOLDER / 'scan.db'}"

VISION_MODEL = os.environ.get("SCAN_VISION_MODEL", "gpt-4o-mini")
CHAT_MODEL = os.environ.get("SCAN_CHAT_MODEL", "gpt-4o-mini")

FOLDER.mkdir(parents=True, exist_ok=True)
