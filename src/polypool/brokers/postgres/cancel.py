"""Cancel: what waits ends at once, the holder of what runs is asked."""

from collections.abc import Iterable, Sequence

from polypool.brokers.postgres.rows import told
from polypool.brokers.postgres.session import Connection
from polypool.brokers.postgres.signals import signal
from polypool.brokers.stored import COPIES_REMEMBERED, Ending
from polypool.core.codec import decode_message, encode
from polypool.core.decide import signals, type_name
from polypool.core.join import Signal
from polypool.core.lifecycle import State
from polypool.core.message import Message
from polypool.core.outcome import Failure

_FAILURE = Failure(type_name("TaskCancelled"), "cancelled")


async def cancel(connection: Connection, ids: Sequence[str], now: float) -> list[bool]:
    """False for what had ended or is unknown."""
    asked = set(ids)
    async with connection.transaction():
        seen = [decode_message(body, id)[0] for id, body in await connection.rows("bodies", list(asked))]
        # Those behind are locked with them, since all who lock what waits do so in one order.
        locked = await connection.rows("waiting", list(asked.union(one.id for one in meant(seen))))
        rows = [row for row in locked if row[0] in asked]
        running = [seq for _, seq, state, *_ in rows if state == State.RUNNING]
        waiting = {seq: decode_message(body, id)[0] for id, seq, state, _, body in rows if state != State.RUNNING}
        if running:
            await connection.rows("flag", running)
        if waiting:
            await connection.rows("remember_gone", list(waiting), now + COPIES_REMEMBERED)
            await _end(connection, waiting, now)
    found = {row[0] for row in rows}
    return [id in found for id in ids]


def meant(messages: Iterable[Message]) -> list[Signal]:
    """What it means to others that wait that these are cancelled, or purged before they ended."""
    listed = list(messages)
    over = {message.id for message in listed}
    return [one for message in listed for one in signals(message, State.CANCELLED, None) if one.id not in over]


async def _end(connection: Connection, waiting: dict[int, Message], now: float) -> None:
    said = meant(waiting.values())
    unkept = [seq for seq, message in waiting.items() if message.policy.result_ttl <= 0]
    kept = {seq: message for seq, message in waiting.items() if message.policy.result_ttl > 0}
    if unkept:
        await connection.rows("forget", unkept, told(waiting[seq].id for seq in unkept))
    if kept:
        await connection.rows(
            "end_waiting",
            list(kept),
            State.CANCELLED.value,
            [now + message.policy.result_ttl for message in kept.values()],
            [_ending(message, now) for message in kept.values()],
            told(message.id for message in kept.values()),
        )
    await signal(connection, said, now)


def _ending(message: Message, now: float) -> bytes:
    return encode(Ending(None, _FAILURE, now, None, message.attempt, message.sent_at))
