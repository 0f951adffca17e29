"""`python -m bench NAME`: measure one figure, or all, and print it as a table. `chaos` and `scan` have their own."""

import argparse
import importlib
import json
import signal
import sys
from pathlib import Path
from typing import Any

from bench.machine import calibrate, facts
from bench.reading import CannotMeasure, Extent, Reading
from bench.table import show, show_machine

FIGURES = (
    "drain",
    "celery",
    "send",
    "roundtrip",
    "sleepers",
    "cpu",
    "memory",
    "blocked",
    "recovery",
    "flat",
    "idle",
    "chains",
    "chord",
    "streams",
)
ASKED_FOR = ("side_by_side", "memory_back", "ids", "fair")
"""Not part of `all`: these need what a checkout does not have, or many minutes."""
REPEATS = 5


def main() -> int:
    if sys.argv[1:2] == ["chaos"]:
        from bench.chaos.command import main as chaos

        return chaos(sys.argv[2:])
    if sys.argv[1:2] == ["scan"]:
        from bench.scan.command import main as scan

        return scan(sys.argv[2:])
    # Ended from outside it unwinds as by Ctrl-C, so that its processes end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    given = arguments()
    names = FIGURES if given.name == "all" else (given.name,)
    extent = Extent(given.repeats or (1 if given.quick else REPEATS), given.quick, given.engine, given.tasks)
    told, calibrations, missing = facts(), [calibrate()], []
    measured: dict[str, Any] = {}
    for name in names:
        module = importlib.import_module(f"bench.{name}")
        try:
            readings: list[Reading] = module.measure(extent)
        except CannotMeasure as error:
            print(f"{name}: {error}", file=sys.stderr)
            missing.append(name)
            continue
        calibrations.append(calibrate())
        show(f"{name} – {module.__doc__.splitlines()[0]}", readings)
        measured[name] = [reading.as_dict() for reading in readings]
        if given.json:
            write(given.json, {"machine": told, "calibration_ms": calibrations, "figures": measured})
    show_machine(told, calibrations)
    return 1 if missing else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = (*FIGURES, *ASKED_FOR, "all")
    parser.add_argument("name", nargs="?", default="all", choices=names, help="which figure, default: all")
    parser.add_argument(
        "engine",
        nargs="?",
        default="",
        help="where: sqlite, redis, postgres, rabbitmq or a URL, for those figures that ask",
    )
    parser.add_argument("--tasks", type=int, default=0, metavar="N", help="memory_back and ids: how many of them")
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that it works")
    parser.add_argument("--repeats", type=int, metavar="N", help=f"repetitions, default: {REPEATS}, 1 with --quick")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples there too")
    return parser.parse_args()


def write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
