"""`python -m bench scan`: the scan pipeline under load, at its provider's limit; tables here, plots in --out."""

import argparse
import importlib.util
import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console

from bench.anywhere import BACKEND, another, anywhere
from bench.celery import celery_python
from bench.machine import calibrate, facts
from bench.private_rabbitmq import private_rabbitmq
from bench.private_redis import private_redis
from bench.reading import CannotMeasure
from bench.scan import plots
from bench.scan.crew import Crew
from bench.scan.figures import Course, figures_of
from bench.scan.ideal import ideal
from bench.scan.plan import SETTLES_S, TIERS, Plan
from bench.scan.report import Case, show, tables
from bench.scan.watch import course_of
from bench.table import show_machine

STARTS_S = 8.0
"""Of a case, roughly: its processes come and go."""


def main(words: Sequence[str]) -> int:
    given = arguments(words)
    # Ended from outside it unwinds as by Ctrl-C, so that its processes end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        check(given)
    except CannotMeasure as error:
        print(error, file=sys.stderr)
        return 2
    made = [Plan(users, given.tier, given.scale, given.seconds, given.workers, given.halve_at) for users in given.users]
    sides = list(sides_of(given))
    expected_s = sum(plan.length_s + STARTS_S for plan in made) * len(sides)
    said = f"{len(made) * len(sides)} cases, time runs {given.scale:g} × as fast"
    print(f"about {expected_s / 60:.1f} minutes: {said}", file=sys.stderr)
    console = Console(width=given.width)
    calibrations, cases, curves = [calibrate()], [], []
    for plan, (name, run) in itertools.product(made, sides):
        try:
            course = run(plan)
        except CannotMeasure as error:
            print(f"{name}, {plan.users:,} users: {error}", file=sys.stderr)
            continue
        calibrations.append(calibrate())
        cases.append(Case(name, plan, figures_of(course, SETTLES_S), ideal(plan)))
        curves.append(plots.Curve(name, plan, course))
        show(cases[-1:], console)
    if len(cases) > 1:
        show(cases, console)
    show_machine(facts(), calibrations)
    if given.out and cases:
        print("written:", *plots.write(given.out, said, curves, tables(cases)))
    return 0 if len(cases) == len(made) * len(sides) else 1


def check(given: argparse.Namespace) -> None:
    """CannotMeasure for what is missing, said before anything runs for minutes."""
    if importlib.util.find_spec("locust") is None:
        raise CannotMeasure("the users are Locust's: pip install 'polypool[bench]'")
    if given.out:
        plots.check()
    if given.celery:
        celery_python()


def sides_of(given: argparse.Namespace) -> Iterator[tuple[str, Callable[[Plan], Course]]]:
    yield f"polypool, {given.engine}", lambda plan: polypool_course(plan, given.engine)
    for pool, slots in given.celery:
        yield f"Celery {pool} -c {slots}", lambda plan, pool=pool, slots=slots: celery_course(plan, pool, slots)


def polypool_course(plan: Plan, engine: str) -> Course:
    """One case by polypool."""
    with anywhere(engine) as url, Crew(plan, another(url)) as crew:
        crew.start_polypool()
        engines = tuple(filter(None, (url, os.environ.get(BACKEND))))
        return course_of(plan, crew, engines, crew.processes["users"].log)


def celery_course(plan: Plan, pool: str, slots: int) -> Course:
    """One case by Celery on RabbitMQ, results in Redis."""
    with private_redis() as redis, private_rabbitmq() as amqp, Crew(plan, redis) as crew:
        crew.start_celery(pool, slots, amqp, redis)
        return course_of(plan, crew, (amqp, redis), crew.processes["users"].log)


def arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench scan", description=__doc__)
    parser.add_argument("--engine", default="redis", help="sqlite, redis, postgres, rabbitmq or a URL; default: redis")
    parser.add_argument("--users", type=_numbers, default=[100, 1_000], metavar="N,…", help="default: 100,1000")
    parser.add_argument("--tier", type=int, default=1, choices=TIERS, help="of the provider's limits, default: 1")
    parser.add_argument("--scale", type=float, default=10.0, help="how many times as fast time runs, default: 10")
    parser.add_argument("--seconds", type=float, default=60.0, help="that count, of each case; default: 60")
    parser.add_argument("--workers", type=int, default=1, help="polypool's; default: 1")
    parser.add_argument("--halve-at", type=float, metavar="S", help="the provider halves its limits after so long")
    parser.add_argument("--celery", type=_pools, default=[], metavar="POOL:N,…", help="beside it, e.g. gevent:100")
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where plots go, as PNG and as a page")
    parser.add_argument("--width", type=int, default=None if sys.stdout.isatty() else 160, help=argparse.SUPPRESS)
    return parser.parse_args(words)


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def _pools(text: str) -> list[tuple[str, int]]:
    return [(word.partition(":")[0], int(word.partition(":")[2])) for word in text.split(",")]
