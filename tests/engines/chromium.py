"""A Chromium for tests of pages: the one that POLYPOOL_TEST_CHROMIUM names, else one on the path.

Where there is none, Debian's package is installed, given apt and root. Playwright drives it and downloads nothing.
"""

import functools
import os
import shutil

from tests.engines.debian import install

VARIABLE = "POLYPOOL_TEST_CHROMIUM"
NAMES = ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"

_MISSING = f"""no Chromium to test pages with; one of these helps:
  apt-get install --no-install-recommends chromium     (or your system's package of Chromium or Google Chrome)
  {VARIABLE}=/path/to/chromium   any Chromium or Chrome, also its headless shell"""


@functools.cache
def program() -> str:
    """Where it is, installed first if need be. RuntimeError says what to install."""
    named = os.environ.get(VARIABLE)
    if named:
        if not os.access(named, os.X_OK):
            raise RuntimeError(f"{VARIABLE}={named} is no program: let it name a Chromium, or leave it out")
        return named
    found = _found()
    if found is None:
        install("chromium")
        found = _found()
    if found is None:
        raise RuntimeError(_MISSING)
    return found


def arguments() -> list[str]:
    """What it has to be told here: root has no sandbox, and containers have a small /dev/shm."""
    return ["--disable-dev-shm-usage", *(["--no-sandbox"] if os.geteuid() == 0 else [])]


def _found() -> str | None:
    return next((path for name in (*NAMES, MAC) if (path := shutil.which(name))), None)
