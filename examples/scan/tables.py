"""The tables that the demo ends with: what was measured here, beside what was published."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from examples.scan import published
from examples.scan.figures import Figures, Spread
from examples.scan.gauges import Gauges
from examples.scan.pools import PoolUse
from examples.scan.stages import STAGES

NONE = "–"


@dataclass(frozen=True)
class Report:
    """All that the tables show."""

    figures: Figures
    gauges: Gauges
    pools: list[PoolUse]
    users: int
    scale: float
    share_of_limit: float | None = None


def print_report(report: Report, console: Console) -> None:
    for table in (comparison(report), stage_times(report), pool_use(report)):
        console.print()
        console.print(table)
    console.print()
    console.print(
        f"Time ran {report.scale:g} times as fast: published times are divided by it, rates multiplied. "
        "The published figures were measured elsewhere, on 2 virtual CPUs and 4 GB, with a real provider; "
        "on prefork, rule and reward (milliseconds of work) mostly waited for a free process.",
        style="dim",
    )


def comparison(report: Report) -> Table:
    figures, gauges, scale = report.figures, report.gauges, report.scale
    then = published.CHAIN.at(scale)
    table = Table(title="One worker, every pool", title_justify="left", title_style="bold")
    table.add_column("")
    table.add_column("polypool, here", justify="right")
    table.add_column(f"{published.ENGINE}, published", justify="right")
    table.add_row("users", str(report.users), str(published.USERS))
    table.add_row("chains a minute", f"{figures.chains_per_minute:.0f}", f"{published.CHAINS_PER_MINUTE * scale:.1f}")
    table.add_row("chains answered", str(figures.chains - figures.failed), NONE)
    table.add_row("success", f"{figures.success:.1%}", f"{published.SUCCESS:.1%}")
    table.add_row("chain, mean", seconds(figures.chain, "mean_s"), written(then.mean_s))
    table.add_row("chain, p50", seconds(figures.chain, "p50_s"), NONE)
    table.add_row("chain, p95", seconds(figures.chain, "p95_s"), NONE)
    table.add_row("first word, p50", seconds(figures.first_word, "p50_s"), NONE)
    table.add_row("photos recognised", f"{figures.recognised} of {figures.chains - figures.failed}", NONE)
    share = report.share_of_limit
    table.add_row("provider's limit used", f"{share:.0%}" if share is not None else NONE, NONE)
    table.add_row("429s from the provider", str(gauges.refused), NONE)
    table.add_row("requests open at once, at most", str(gauges.peak_in_flight), NONE)
    table.add_row(
        "memory of the worker, at most",
        f"{gauges.peak_memory_bytes / 1e6:.0f} MB in {gauges.processes} processes",
        f"24 processes × {published.MEMORY_MB_PER_PROCESS} MB",
    )
    return table


def stage_times(report: Report) -> Table:
    table = Table(title="Stages, as users saw them", title_justify="left", title_style="bold")
    for heading in ("stage", "pool"):
        table.add_column(heading)
    for heading in ("mean", "p50", "p95", "p99", "published mean", "published p99"):
        table.add_column(heading, justify="right")
    for stage, pool in STAGES.items():
        here = report.figures.stages.get(stage)
        then = published.STAGES[stage].at(report.scale) if stage in published.STAGES else None
        table.add_row(
            stage,
            pool,
            *[seconds(here, name) for name in ("mean_s", "p50_s", "p95_s", "p99_s")],
            written(then.mean_s) if then else NONE,
            written(then.p99_s) if then and then.p99_s else NONE,
        )
    return table


def pool_use(report: Report) -> Table:
    table = Table(title="Pools of the one worker", title_justify="left", title_style="bold")
    table.add_column("pool")
    for heading in ("processes", "slots", "runs", "retries", "slots busy, mean", "cores busy in tasks", "memory"):
        table.add_column(heading, justify="right")
    for pool in report.pools:
        table.add_row(
            pool.kind,
            str(pool.processes),
            str(pool.slots),
            str(pool.runs),
            str(pool.retried),
            f"{pool.busy:.1f}",
            f"{pool.cores:.2f}",
            f"{pool.memory_bytes / 1e6:.0f} MB" if pool.memory_bytes is not None else NONE,
        )
    return table


def seconds(spread: Spread | None, name: str) -> str:
    return written(getattr(spread, name)) if spread else NONE


def written(duration_s: float) -> str:
    return f"{duration_s:.2f} s" if duration_s >= 0.1 else f"{duration_s * 1000:.0f} ms"
