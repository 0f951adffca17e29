"""The machine of a run, and how fast it is at the moment: shared machines have slow minutes."""

import os
import platform
import sqlite3
import statistics
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.tasks import burn

CALIBRATION_LOOPS = 100_000
PACKAGES = ("polypool", "msgspec", "uvloop", "gevent")


def facts() -> dict[str, Any]:
    """What a reader needs to compare: never the machine's name."""
    return {
        "processors": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "command": " ".join(["python -m bench", *sys.argv[1:]]),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def calibrate(times: int = 15) -> float:
    """Milliseconds that a fixed piece of pure Python takes now, the median of a few."""
    return 1000 * statistics.median(_time_burn(CALIBRATION_LOOPS) for _ in range(times))


def loops_for(seconds: float) -> int:
    """How many loops of `burn` take so long, going by the fastest of a few."""
    fastest = min(_time_burn(CALIBRATION_LOOPS) for _ in range(15))
    return round(CALIBRATION_LOOPS * seconds / fastest)


def _time_burn(loops: int) -> float:
    began = time.perf_counter()
    burn(loops)
    return time.perf_counter() - began


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
