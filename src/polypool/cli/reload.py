"""`--reload`: tells this process to roll its children when code changes."""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polypool.core.error import MissingExtra

logger = logging.getLogger("polypool.worker")


@contextmanager
def rolling_on_change(directory: Path) -> Iterator[None]:
    """While this lasts, a changed .py file below the directory sends SIGHUP to this process."""
    try:
        import watchfiles
    except ImportError as error:
        raise MissingExtra("--reload needs watchfiles: pip install 'polypool[reload]'") from error

    # A file may change before the worker listens, and by default SIGHUP ends a process. Not SIG_IGN: children would
    # inherit that through exec.
    signal.signal(signal.SIGHUP, lambda *_: None)
    is_over = threading.Event()

    def watch() -> None:
        changes = watchfiles.watch(directory, watch_filter=watchfiles.PythonFilter(), stop_event=is_over)
        for changed in changes:
            files = sorted(os.path.relpath(path, directory) for _, path in changed)
            logger.info("%s changed: rolling to new code", ", ".join(files[:3]) + (", …" if len(files) > 3 else ""))
            os.kill(os.getpid(), signal.SIGHUP)

    watcher = threading.Thread(target=watch, name="polypool-reload", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join(timeout=2)
