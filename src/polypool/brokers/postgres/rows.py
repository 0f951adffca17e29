"""How messages and endings stand in the tables."""

from collections.abc import Iterable, Sequence
from zlib import crc32

from polypool.brokers import stored
from polypool.brokers.postgres.session import Connection, Session
from polypool.core.error import SendError
from polypool.core.message import Lane, Message
from polypool.core.port import Traits

TOLD_AT_ONCE = 900
"""Marks in one notification, whose text must stay below 8,000 bytes."""
EVERYTHING = "*"
"""Told instead of marks: look at all you wait for."""


def encoded(messages: Iterable[Message], traits: Traits) -> list[tuple[Message, bytes]]:
    """Each message with its body. MessageTooLarge, or SendError for a name that PostgreSQL's text cannot hold."""
    listed = list(messages)
    for message in listed:
        if "\0" in message.id + message.task + message.queue + message.pool:
            raise SendError(f"task {message.id!r}: an id or a name with a NUL character cannot be stored; leave it out")
    return list(zip(listed, stored.encoded(listed, traits), strict=True))


def mark(id: str) -> str:
    """What stands for an id in a notification: short, and safe whatever the id. Two ids may share one."""
    return f"{crc32(id.encode(errors='surrogatepass')):08x}"


def told(ids: Iterable[str]) -> list[str]:
    """The notifications that tell of these ids."""
    marks = [mark(id) for id in dict.fromkeys(ids)]
    return ["".join(marks[start : start + TOLD_AT_ONCE]) for start in range(0, len(marks), TOLD_AT_ONCE)]


class Lanes:
    """The numbers of lanes; given out once, for ever. Forgotten here when a transaction may have been undone."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._failures = 0
        self._numbers: dict[Lane, int] = {}

    async def numbers(self, connection: Connection, lanes: Iterable[Lane]) -> dict[Lane, int]:
        """The numbers of these, given out now if they have none. Not inside a transaction of the caller's."""
        return {lane: await self._number(connection, lane, "lane") for lane in dict.fromkeys(lanes)}

    async def known(self, connection: Connection, lanes: Sequence[Lane]) -> list[int]:
        """The numbers of those that were ever used."""
        found = [await self._number(connection, lane, "find_lane") for lane in lanes]
        return [number for number in found if number]

    async def _number(self, connection: Connection, lane: Lane, statement: str) -> int:
        if self._failures != self._session.failures:
            self._failures = self._session.failures
            self._numbers.clear()
        if lane not in self._numbers:
            row = await connection.row(statement, *lane)
            if row is None:
                return 0
            self._numbers[lane] = row[0]
        return self._numbers[lane]


async def add(
    connection: Connection,
    numbers: dict[Lane, int],
    given: Sequence[tuple[Message, bytes]],
    now: float,
    guard: float | None = None,
) -> list[bool]:
    """Put messages, or enroll them with a guard; which were new. Of two with the same id the first is."""
    first: dict[str, tuple[Message, bytes]] = {}
    for message, body in given:
        first.setdefault(message.id, (message, body))
    new = await _put(connection, numbers, list(first.values()), now, guard)
    if refused := [id for id in first if id not in new]:
        free = {id for (id,) in await connection.rows("free", refused, now)}
        if free:
            new |= await _put(connection, numbers, [first[id] for id in refused if id in free], now, guard)
    accepted = []
    for message, _ in given:
        accepted.append(message.id in new)
        new.discard(message.id)
    return accepted


def waits(message: Message) -> int | None:
    """Of how many places it waits until all are marked; None for one that waits for nobody."""
    return message.flow.waits if message.is_waiting and message.flow is not None else None


def _due(message: Message, now: float) -> float:
    if message.is_waiting:
        return message.due_when_ready
    return min(message.sent_at or now, now) if message.due is None else message.due


async def _put(
    connection: Connection,
    numbers: dict[Lane, int],
    given: Sequence[tuple[Message, bytes]],
    now: float,
    guard: float | None,
) -> set[str]:
    """The ids that were new; each is given once."""
    messages = [message for message, _ in given]
    rows = await connection.rows(
        "put" if guard is None else "enroll",
        [message.id for message in messages],
        [message.task for message in messages],
        [numbers[message.lane] for message in messages],
        [message.priority for message in messages],
        [_due(message, now) for message in messages],
        [body for _, body in given],
        [waits(message) for message in messages],
        now,
        *([] if guard is None else [guard]),
    )
    return {id for id, _ in rows}
