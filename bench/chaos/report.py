"""The table of what came out of chaos: for a terminal, for a page, as JSON."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from bench.chaos.field import Outcome

SHOWN_VIOLATIONS = 20


def rows(outcome: Outcome) -> Mapping[str, str]:
    """One engine's column: what was done and what came of it."""
    verdict = outcome.verdict
    acts = Counter(verdict.acts)
    by_reason = [(reason, n) for reason, n in Counter(verdict.explained).most_common() if reason != "asked for"]
    reasons = ", ".join(f"{reason} {count}" for reason, count in by_reason)
    return {
        "lasted": f"{outcome.plan.seconds:.0f} s",
        "sent": f"{verdict.sent:,}",
        "ended once": f"{verdict.ended:,}",
        "steps that waited for others": f"{verdict.steps:,}",
        "killed: a child, a worker, a producer": " · ".join(
            str(acts[word]) for word in ("kill child", "kill worker", "kill producer")
        ),
        "workers stopped past their lease": str(acts["stop worker"]),
        "workers replaced in order": str(acts["deploy"]),
        "workers that gave up while starting": str(acts["worker gave up"]),
        "engine taken away": _outages(acts),
        "connections cut: in a frame, unheard": f"{acts['cut']} · {acts['unheard']}",
        "poison tasks": str(verdict.poison),
        "innocents condemned by three acts": str(verdict.condemned),
        "runs": f"{verdict.runs:,}",
        "reruns, less those asked for": str(verdict.reruns - verdict.asked),
        "explained": f"{sum(verdict.explained.values()) - verdict.asked}" + (f" ({reasons})" if reasons else ""),
        "overlaps with a worker out of the game": str(verdict.overlaps),
        "leases lost, without a stop": f"{outcome.fences} · {outcome.fences_unasked}",
        "late endings refused": str(outcome.refused),
        "previous release": outcome.previous,
        "violations": str(len(verdict.violations)),
    }


def markdown(outcomes: Sequence[Outcome]) -> str:
    """All engines side by side."""
    columns = [rows(outcome) for outcome in outcomes]
    lines = ["| | " + " | ".join(outcome.engine for outcome in outcomes) + " |", "|---|" + "---:|" * len(columns)]
    lines += [f"| {name} | " + " | ".join(column[name] for column in columns) + " |" for name in columns[0]]
    return "\n".join(lines) + "\n"


def violations(outcome: Outcome) -> str:
    """The first few, and where the history is."""
    found = outcome.verdict.violations
    lines = [f"{outcome.engine}: {len(found)} violations; the history is kept in {outcome.history}"]
    lines += [f"  {line}" for line in found[:SHOWN_VIOLATIONS]]
    return "\n".join(lines)


def write(path: Path, outcomes: Sequence[Outcome]) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(outcomes)) + b"\n")


def read(path: Path) -> list[Outcome]:
    """What `write` wrote: runs made at different times come into one table."""
    return msgspec.json.decode(path.read_bytes(), type=list[Outcome])


def _outages(acts: Mapping[str, int]) -> str:
    ways = {word.partition(": ")[2]: count for word, count in acts.items() if word.startswith("outage")}
    return f"{sum(ways.values())}" + (
        f" ({', '.join(f'{way} {n}' for way, n in sorted(ways.items()))})" if ways else ""
    )
