"""`python -m bench scan`: the scan pipeline under load, at its provider's limit; tables here, plots in --out."""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.anywhere import another, anywhere
from bench.machine import calibrate, facts
from bench.reading import CannotMeasure
from bench.scan.crew import Crew
from bench.scan.figures import Course, figures_of
from bench.scan.ideal import ideal
from bench.scan.plan import SETTLES_S, TIERS, Plan
from bench.scan.report import Case, show
from bench.scan.watch import course_of
from bench.table import show_machine

STARTS_S = 8.0
"""Of a case, roughly: its processes come and go."""


def main(words: Sequence[str]) -> int:
    given = arguments(words)
    plans = [
        Plan(users, given.tier, given.scale, given.seconds, given.workers, given.halve_at) for users in given.users
    ]
    sides = 1 + len(given.celery)
    expected = sum(plan.length_s + STARTS_S for plan in plans) * sides
    print(
        f"about {expected / 60:.1f} minutes: {len(plans) * sides} cases at {given.scale:g} × real time", file=sys.stderr
    )
    calibrations, cases, failed = [calibrate()], [], False
    for plan in plans:
        for name, run in sides_of(given):
            try:
                course = run(plan)
            except CannotMeasure as error:
                print(f"{name}, {plan.users:,} users: {error}", file=sys.stderr)
                failed = True
                continue
            cases.append(Case(name, plan, figures_of(course, SETTLES_S), ideal(plan)))
            calibrations.append(calibrate())
            show(cases[-1:], given.width)
    if len(cases) > 1:
        show(cases, given.width)
    show_machine(facts(), calibrations)
    return 1 if failed else 0


def sides_of(given: argparse.Namespace) -> Iterator[tuple[str, Callable[[Plan], Course]]]:
    yield f"polypool, {given.engine}", lambda plan: polypool_course(plan, given.engine)


def polypool_course(plan: Plan, engine: str) -> Course:
    """One case by polypool."""
    with anywhere(engine) as url, Crew(plan, another(url)) as crew:
        crew.start_polypool()
        return course_of(plan, crew, url, crew.processes["users"].log)


def arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench scan", description=__doc__)
    parser.add_argument("--engine", default="redis", help="sqlite, redis, postgres, rabbitmq or a URL; default: redis")
    parser.add_argument("--users", type=_numbers, default=[100, 1_000], metavar="N,…", help="default: 100,1000")
    parser.add_argument("--tier", type=int, default=1, choices=TIERS, help="of the provider's limits, default: 1")
    parser.add_argument("--scale", type=float, default=10.0, help="how many times as fast time runs, default: 10")
    parser.add_argument("--seconds", type=float, default=60.0, help="that count, of each case; default: 60")
    parser.add_argument("--workers", type=int, default=1, help="polypool's; default: 1")
    parser.add_argument("--halve-at", type=float, metavar="S", help="the provider halves its limits after so long")
    parser.add_argument("--celery", type=_words, default=[], metavar="POOL:N,…", help="beside it, e.g. gevent:100")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where plots go, as PNG and as a page")
    parser.add_argument("--width", type=int, default=None if sys.stdout.isatty() else 160, help=argparse.SUPPRESS)
    return parser.parse_args(words)


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def _words(text: str) -> list[str]:
    return text.split(",")
