"""`python -m bench chaos ENGINE …`: run chaos and print its table. Exit status 1 at any violation; its history is kept.

ENGINE is sqlite, redis, postgres, rabbitmq, all, or the URL of a server that runs already, which is then not
restarted. A FILE.json that an earlier run wrote brings that run's column into the table.
"""

import argparse
import asyncio
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.chaos.field import Field, Outcome, Plan
from bench.chaos.fleet import has_commit
from bench.chaos.ground import GROUNDS, PREVIOUS, ground
from bench.chaos.report import markdown, read, violations, write

AUTO, NONE = "auto", "none"


def main(words: Sequence[str]) -> int:
    given = arguments(words)
    engines = list(GROUNDS) if "all" in given.engines else given.engines
    outcomes: list[Outcome] = []
    for engine in engines:
        if engine.endswith(".json"):
            outcomes += read(Path(engine))
            continue
        outcome = chaos(engine, plan_of(given), given.previous)
        outcomes.append(outcome)
        if outcome.verdict.violations or given.keep:
            print(violations(outcome), file=sys.stderr)
        else:
            shutil.rmtree(outcome.history)
        if given.json:
            write(given.json, outcomes)
    print(markdown(outcomes))
    return 1 if any(outcome.verdict.violations for outcome in outcomes) else 0


def chaos(engine: str, plan: Plan, previous: str = AUTO) -> Outcome:
    """One run on one engine."""
    folder = Path(tempfile.mkdtemp(prefix="polypool-chaos-run-"))
    with ground(engine) as here:
        chosen = {AUTO: PREVIOUS if has_commit(PREVIOUS) else None, NONE: None}.get(previous, previous)
        field = Field(here, Plan(*plan_values(plan), chosen), folder, lambda line: print(line, file=sys.stderr))
        print(f"{here.name}: seed {plan.seed}, previous release {chosen or 'not mixed in'}", file=sys.stderr)
        return asyncio.run(field.run())


def plan_values(plan: Plan) -> tuple[int, float, float, float, int]:
    return plan.tasks, plan.seconds, plan.every, plan.lease, plan.seed


def plan_of(given: argparse.Namespace) -> Plan:
    tasks = given.tasks or max(int(given.seconds * 20_000 / 600), 100)
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(1_000_000)
    return Plan(tasks=tasks, seconds=given.seconds, every=given.every, lease=given.lease, seed=seed)


def arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("engines", nargs="+", metavar="ENGINE", help=f"{', '.join(GROUNDS)}, all, or a URL")
    parser.add_argument("--seconds", type=float, default=600.0, metavar="S", help="default: 600")
    parser.add_argument("--tasks", type=int, metavar="N", help="default: 20,000 in ten minutes")
    parser.add_argument("--every", type=float, default=1.5, metavar="S", help="between two acts, in the middle: 1.5")
    parser.add_argument("--lease", type=float, default=2.0, metavar="S", help="the workers' --heartbeat, default: 2")
    parser.add_argument("--seed", type=int, metavar="N", help="to act alike again; default: a new one, printed")
    parser.add_argument(
        "--previous", default=AUTO, metavar="PATH|COMMIT",
        help="the older release that one worker and one producer run; auto: a commit that is known to fit; none",
    )  # fmt: skip
    parser.add_argument("--keep", action="store_true", help="keep the history in any case")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there too")
    return parser.parse_args(words)
