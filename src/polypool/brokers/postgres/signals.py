"""What endings mean to messages that wait, as arguments of statements."""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

from polypool.brokers.postgres.rows import told
from polypool.brokers.postgres.session import Connection
from polypool.core.join import Signal


def columns(signals: Sequence[Signal]) -> list[list[Any]]:
    """Ids, kinds, places and numbers of causes, in order; and the causes, each once: one may be that of thousands."""
    causes: dict[bytes, int] = {}
    return [
        [signal.id for signal in signals],
        [signal.kind for signal in signals],
        [signal.place for signal in signals],
        [causes.setdefault(signal.cause, len(causes) + 1) if signal.cause else None for signal in signals],
        list(causes),
    ]


def marked(signals: Iterable[tuple[int, Signal]]) -> list[list[Any]]:
    """Marks, each with the number of the run it comes from: the ids they go to, where in the rest those of each begin
    and end (counted from 1), numbers, places."""
    told: dict[str, list[tuple[int, int]]] = {}
    for number, signal in signals:
        told.setdefault(signal.id, []).append((number, signal.place))
    ends = list(accumulate(map(len, told.values())))
    starts = [end - len(marks) + 1 for end, marks in zip(ends, told.values(), strict=True)]
    numbers = [number for marks in told.values() for number, _ in marks]
    places = [place for marks in told.values() for _, place in marks]
    return [list(told), starts, ends, numbers, places]


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
