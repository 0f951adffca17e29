"""A heartbeat as the words of beat.lua, and the tallies it left as they come back."""

import msgspec

from polypool.brokers.redis.wire import Word
from polypool.core.codec import encode
from polypool.core.measure import BUCKETS, Tally
from polypool.core.report import Heartbeat

_NUMBERS = [name for name in Tally.__struct_fields__ if name not in ("task", "pool", "walls", "last_end")]


def beat_words(heartbeat: Heartbeat, channel: str) -> list[Word]:
    """Without the time."""
    run = f"{heartbeat.host} {heartbeat.pid} {heartbeat.started_at!r}"
    kept = encode(msgspec.structs.replace(heartbeat, tallies=()))
    words: list[Word] = [
        heartbeat.worker,
        run,
        kept,
        heartbeat.lease,
        channel,
        int(heartbeat.is_leaving),
        heartbeat.report,
    ]
    for tally in heartbeat.tallies:
        fields = _fields(tally)
        words += (f"{tally.pool}:{tally.task}", len(fields) // 3, *fields)
    return words


def _fields(tally: Tally) -> list[Word]:
    words: list[Word] = []
    for name in _NUMBERS:
        value = getattr(tally, name)
        if value:
            words += (name, "f" if isinstance(value, float) else "i", repr(value))
    for place, count in enumerate(tally.walls):
        if count:
            words += (f"walls:{place}", "i", count)
    if tally.last_end is not None:
        words += ("last_end", "m", repr(tally.last_end))
    return words


def tally_read(name: bytes, fields: list[bytes]) -> Tally:
    """What the server added up."""
    pool, _, task = name.decode().partition(":")
    tally = Tally(task, pool)
    for field, value in zip(fields[::2], fields[1::2], strict=True):
        key = field.decode()
        if key.startswith("walls:"):
            place = int(key.removeprefix("walls:"))
            tally.walls[min(place, BUCKETS - 1)] += int(value)
        elif key == "last_end":
            tally.last_end = float(value)
        elif key in _NUMBERS:
            is_count = isinstance(getattr(tally, key), int)
            setattr(tally, key, int(value) if is_count else float(value))
    return tally
