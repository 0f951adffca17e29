"""Where the scan example keeps its files, which broker and models it uses, and how much of these it may use; all from
the environment."""

import os
import tempfile
from pathlib import Path

FOLDER = Path(os.environ.get("SCAN_DIR") or Path(tempfile.gettempdir(), "polypool-scan"))
"""Photos, the cache of characters and, unless told otherwise, the queue. API and worker must agree on it."""

BROKER = os.environ.get("POLYPOOL_BROKER") or f"sqlite:///{FOLDER / 'scan.db'}"

VISION_MODEL = os.environ.get("SCAN_VISION_MODEL", "gpt-4o-mini")
CHAT_MODEL = os.environ.get("SCAN_CHAT_MODEL", "gpt-4o-mini")

MINUTE_S = float(os.environ.get("SCAN_MINUTE_S", "60"))
"""How long the provider's minute lasts: 60 seconds, but for a stand-in whose time runs faster (60 / its --scale)."""

REQUESTS = f"{os.environ.get('SCAN_RPM', '500')}/{MINUTE_S:.6f}s"
TOKENS = f"{os.environ.get('SCAN_TPM', '500000')}/{MINUTE_S:.6f}s"
"""What the provider allows in that minute, as rates."""

FOLDER.mkdir(parents=True, exist_ok=True)
