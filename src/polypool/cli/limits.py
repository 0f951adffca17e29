"""polypool limits: each key that limits something, and how it stands."""

import time
from collections.abc import Sequence

import click

from polypool.cli.documents import Limits
from polypool.cli.given import OptionalNumbers
from polypool.cli.look import Looking, look, looking
from polypool.cli.table import Block, Row, Table, columns
from polypool.core.ledger import Gauge
from polypool.core.port import Engine

MOST = 1000
WINDOWS = {1.0: "s", 60.0: "m", 3600.0: "h", 86_400.0: "d"}


@click.command(cls=OptionalNumbers, short_help="limits: their keys, rates, and what is used of them")
@looking()
@click.option("--prefix", default="", metavar="WORD", help="Only keys that begin so, such as 'tenant:'.")
def limits(to: Looking, prefix: str) -> None:
    """Show the keys that limits use now: what may pass, what of the burst is used, who holds slots, what is paused."""

    async def read(engine: Engine) -> Limits:
        return Limits(to.engine, time.time(), tuple(await engine.ledger.look(prefix, MOST)))

    look(to, read, lambda seen: _shown(seen.limits))


def _shown(gauges: Sequence[Gauge]) -> list[Block]:
    headings = columns("key", ">rate", ">used", ">burst", ">held", ">slots", "now")
    return [Table("limits", headings, tuple(map(_row, gauges)), empty="no key is in use")]


def _row(gauge: Gauge) -> Row:
    is_paused = gauge.paused > 0
    now = [f"paused for {gauge.paused:.3g} s"] if is_paused else []
    now += ["by the provider's word"] if gauge.is_adapted else []
    has_rate = gauge.amount is not None
    has_slots = gauge.limit is not None or gauge.held > 0
    cells = (
        gauge.key,
        _rate(gauge),
        f"{gauge.used:.4g}" if has_rate else "",
        f"{gauge.burst:.4g}" if gauge.burst is not None else "",
        str(gauge.held) if has_slots else "",
        str(gauge.limit) if gauge.limit is not None else "",
        ", ".join(now),
    )
    return Row(cells, "yellow" if is_paused or gauge.is_adapted else "")


def _rate(gauge: Gauge) -> str:
    if gauge.amount is None or gauge.per is None:
        return ""
    return f"{gauge.amount:g}/{WINDOWS.get(gauge.per) or f'{gauge.per:g}s'}"
