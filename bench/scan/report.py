"""A case as tables for people. Times and rates are shown as they were published: the scale is undone."""

import io
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from bench.scan.figures import Figures
from bench.scan.ideal import Ideal
from bench.scan.plan import MINUTE_S, REQUESTS_A_CHAIN, Plan
from bench.scan.published import beside

RATE, STAY, MEMORY_MB = 0.97, 1.1, 150
SETTLED, REFUSED_HALVING = 0.95, 5


class Case(NamedTuple):
    """One row: who served, how, what came out."""

    name: str
    plan: Plan
    figures: Figures
    ideal: Ideal


def show(cases: Sequence[Case], console: Console) -> None:
    for title, table in (("Throughput", throughput), ("End to end, published seconds", stays), ("Means", means)):
        made = table(cases)
        made.title, made.title_justify, made.title_style = title, "left", "bold"
        console.print(made)
    for case in cases:
        for line in verdicts(case):
            console.print(f"{case.name}, {case.plan.users:,} users: {line}", highlight=False)


def tables(cases: Sequence[Case]) -> str:
    """The same as text."""
    console = Console(file=io.StringIO(), width=150, record=True)
    show(cases, console)
    return console.export_text()


def throughput(cases: Sequence[Case]) -> Table:
    table = Table("who", "users", "chains/min", "of the limit", "of the ideal", "429s", "success", "published beside")
    for case in cases:
        figures, plan = case.figures, case.plan
        row = beside(plan.users)
        refused = "" if row.refused is None else f", {row.refused:,} × 429"
        published = f"{row.engine}, {row.users:,}: {row.chains_per_minute:g}/min, {row.success:.4g}{refused}"
        per_minute = figures.rate / plan.scale * MINUTE_S
        share, of_ideal = figures.rate / plan.limit, figures.rate / case.ideal.rate
        counts = f"{plan.users:,}", f"{per_minute:.1f}", f"{share:.3f}", f"{of_ideal:.3f}", f"{figures.refused:,}"
        table.add_row(case.name, *counts, f"{figures.success:.2%}", published)
    return table


def stays(cases: Sequence[Case]) -> Table:
    said = "mean", "p50", "p95", "ideal p95", "p95 ×", "max(alone, users/limit)", "first event p95"
    table = Table("who", "users", *said)
    for case in cases:
        stay, scale, best = case.figures.stay, case.plan.scale, case.ideal.stay
        seconds = [f"{value * scale:.1f}" for value in (stay.mean, stay.p50, stay.p95, best.p95)]
        ratio, queue = f"{stay.p95 / best.p95:.2f}", f"{case.plan.queue_s * scale:.1f}"
        first = f"{case.figures.first.p95 * scale:.1f}"
        table.add_row(case.name, f"{case.plan.users:,}", *seconds, ratio, queue, first)
    return table


def means(cases: Sequence[Case]) -> Table:
    table = Table("who", "users", "workers' PSS MB", "growth MB/min", "engine connections", "cores")
    for case in cases:
        figures = case.figures
        linked = ", ".join(f"{name}: {count}" for name, count in figures.connections.items())
        cores = ", ".join(f"{name} {cores:.2f}" for name, cores in figures.cores.items())
        memory = f"{figures.memory_mb:.0f}", f"{figures.growth_mb_per_min:+.1f}"
        table.add_row(case.name, f"{case.plan.users:,}", *memory, linked, cores)
    return table


def verdicts(case: Case) -> list[str]:
    """What the goals say; of Celery's side only what failed."""
    figures, plan, best = case.figures, case.plan, case.ideal
    said = [f"{n:,} chains failed: {what}" for what, n in sorted(figures.errors.items(), key=lambda one: -one[1])[:5]]
    if case.name.startswith("Celery"):
        return said
    if plan.halve_at is not None:
        return said + [_verdict(*check) for check in _halved(case)]
    throughput, stay = figures.rate / best.rate, figures.stay.p95 / best.stay.p95
    checks = (
        (throughput >= RATE, f"throughput {throughput:.3f} of the ideal, ≥ {RATE}"),
        (figures.refused == 0, f"{figures.refused:,} × 429, 0"),
        (figures.failed == 0, f"{figures.failed:,} failed, 0"),
        (stay <= STAY, f"p95 {stay:.2f} × ideal, ≤ {STAY}"),
        (figures.memory_mb <= MEMORY_MB * plan.workers, f"{figures.memory_mb:.0f} MB, ≤ {MEMORY_MB} a worker"),
    )
    return said + [_verdict(*check) for check in checks]


def _halved(case: Case) -> Iterator[tuple[bool, str]]:
    refused = case.figures.refused_after_halving or 0
    yield refused <= REFUSED_HALVING, f"{refused} × 429 after halving, ≤ {REFUSED_HALVING}"
    settled = case.figures.settled_rate
    if settled is not None:
        share = settled / (case.plan.limit * REQUESTS_A_CHAIN / 2)
        yield share >= SETTLED, f"{share:.3f} of the new limit once settled, ≥ {SETTLED}"


def _verdict(met: bool, what: str) -> str:
    return f"{'reached' if met else 'MISSED'}: {what}"
