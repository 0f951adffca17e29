"""What endings mean to messages that wait, as arguments of statements."""

from collections.abc import Iterable, Sequence
from typing import Any

from polypool.brokers.postgres.rows import told
from polypool.brokers.postgres.session import Connection
from polypool.core.join import Signal


def columns(signals: Sequence[Signal]) -> list[list[Any]]:
    """Ids, kinds, places and causes, in order."""
    return [
        [signal.id for signal in signals],
        [signal.kind for signal in signals],
        [signal.place for signal in signals],
        [signal.cause or None for signal in signals],
    ]


def dropped(signals: Iterable[Signal]) -> list[str]:
    """Who may be waited for and will never end: whoever waits for their results is to be told."""
    return [signal.id for signal in signals if signal.kind == "drop"]


async def signal(connection: Connection, signals: Sequence[Signal], now: float) -> None:
    """Tell those that wait, in the transaction of the endings, as the last of it.

    Whoever locks messages that wait does so in the order of their seqs and after all others that it locks: so no two
    can stand in each other's way.
    """
    if signals:
        await connection.rows("signal_these", *columns(signals), now, told(dropped(signals)))
