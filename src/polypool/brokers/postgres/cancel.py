"""Cancel: what waits ends at once, the holder of what runs is asked."""

from collections.abc import Sequence

from polypool.brokers.postgres.rows import told
from polypool.brokers.postgres.session import Connection
from polypool.brokers.stored import COPIES_REMEMBERED, Ending
from polypool.core.codec import decode_message, encode
from polypool.core.decide import type_name
from polypool.core.lifecycle import State
from polypool.core.outcome import Failure

_FAILURE = Failure(type_name("TaskCancelled"), "cancelled")


async def cancel(connection: Connection, ids: Sequence[str], now: float) -> list[bool]:
    """False for what had ended or is unknown."""
    async with connection.transaction():
        rows = await connection.rows("waiting", list(dict.fromkeys(ids)))
        running, unkept, ended = [], dict[int, str](), dict[int, tuple[str, float, bytes]]()
        for id, seq, state, _, body in rows:
            message, _ = decode_message(body, id)
            if state == State.RUNNING:
                running.append(seq)
            elif message.policy.result_ttl <= 0:
                unkept[seq] = id
            else:
                ending = encode(Ending(None, _FAILURE, now, None, message.attempt, message.sent_at))
                ended[seq] = (id, now + message.policy.result_ttl, ending)
        if waiting := [seq for _, seq, state, *_ in rows if state != State.RUNNING]:
            await connection.rows("remember_gone", waiting, now + COPIES_REMEMBERED)
        if running:
            await connection.rows("flag", running)
        if unkept:
            await connection.rows("forget", list(unkept), told(unkept.values()))
        if ended:
            await connection.rows(
                "end_waiting",
                list(ended),
                State.CANCELLED.value,
                [keep_until for _, keep_until, _ in ended.values()],
                [ending for _, _, ending in ended.values()],
                told(id for id, _, _ in ended.values()),
            )
    found = {row[0] for row in rows}
    return [id in found for id in ids]
