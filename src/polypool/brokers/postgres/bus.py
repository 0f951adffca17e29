"""The Bus port over PostgreSQL."""

import asyncio
from collections.abc import Sequence

import msgspec

from polypool.brokers.postgres.pile import Pile
from polypool.brokers.postgres.rows import told
from polypool.brokers.postgres.session import Connection, Session
from polypool.brokers.postgres.watch import Watch
from polypool.brokers.stored import record
from polypool.core.codec import encode
from polypool.core.event import Event, Page, cursor

EVENTS_KEPT = 1000
"""Per task; the oldest go first."""
TRIMMED_EACH = 64
"""A stream is cut back each time a run has brought so many more."""
LOOK_ANYWAY = 10.0

_event = msgspec.msgpack.Decoder(Event)

Given = tuple[str, Event, bytes]
Row = tuple[str, str, bool, bytes | None, int, int, list[bytes]]


class PostgresBus:
    """Streams of events."""

    def __init__(self, session: Session, watch: Watch) -> None:
        self._session = session
        self._watch = watch
        self._appends: Pile[Given, None] = Pile(session, self._append, lambda given: len(given[2]))

    async def append(self, events: Sequence[tuple[str, Event]]) -> None:
        await self._appends.add([(id, event, encode(event)) for id, event in events])

    async def follow(self, id: str, after: str | None, wait: float) -> Page:
        position = (0, 0) if after is None else cursor(after)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        with self._watch.ticket([id]) as ticket:
            while True:
                ticket.clear()
                rows = await self._session.run(
                    lambda connection: connection.rows("stream", id, *position, self._session.clock())
                )
                page = _page(id, rows, None if after is None else position)
                left = deadline - loop.time()
                if page is not None or left <= 0:
                    return page or Page()
                await ticket.next(min(left, LOOK_ANYWAY))

    async def _append(self, connection: Connection, given: list[Given]) -> list[None]:
        # A first event counts too: many short runs may fill a stream as one long one does.
        grown = {
            id for id, event, _ in given if event.number % TRIMMED_EACH == 0 or (event.number == 1 and event.run > 1)
        }
        await connection.rows(
            "append",
            [id for id, _, _ in given],
            [event.run for _, event, _ in given],
            [event.number for _, event, _ in given],
            [body for _, _, body in given],
            told(id for id, _, _ in given),
        )
        if grown:
            await connection.rows("trim", list(grown), EVENTS_KEPT)
        return [None] * len(given)


def _page(id: str, rows: list[Row], after: tuple[int, int] | None) -> Page | None:
    """What follows a cursor; None while there is nothing."""
    if not rows:
        return Page(is_gone=True)
    state, task, is_dead, ending, run, number, bodies = rows[0]
    if after is not None and after < (run, number):
        return Page(is_gone=True)
    ended = record(id, state, task, is_dead, ending) if ending is not None else None
    events = tuple(map(_event.decode, bodies))
    return Page(events, ended) if events or ended else None
