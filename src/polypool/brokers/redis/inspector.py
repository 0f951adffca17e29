"""The Inspector port over Redis."""

from collections.abc import Sequence

import msgspec

from polypool.brokers.redis.link import Link
from polypool.brokers.redis.membership import tally_read
from polypool.brokers.redis.record import DEAD, LETTERS, PARKED, header, lane_named, view
from polypool.core.lifecycle import State
from polypool.core.measure import Tally
from polypool.core.message import Lane
from polypool.core.report import Action, Heartbeat, LaneCount, Search, TaskView, WorkerView

AT_ONCE = 500
"""Messages a call, so that workers get their turn."""

_heartbeat = msgspec.msgpack.Decoder(Heartbeat)


class RedisInspector:
    """Looks and acts for people."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def lanes(self) -> list[LaneCount]:
        rows = await self._link.run("lanes", [])
        counts = []
        for at in range(0, len(rows), 6):
            name, _, queued, scheduled, running, oldest = rows[at : at + 6]
            if queued or scheduled or running:
                due = float(oldest) if oldest else None
                counts.append(LaneCount(*lane_named(name), queued, scheduled, running, due))
        return sorted(counts, key=lambda count: (count.queue, count.pool))

    async def workers(self) -> list[WorkerView]:
        views = []
        for _, beat, seen_at, is_alive, holds in await self._workers():
            views.append(WorkerView(_heartbeat.decode(beat), float(seen_at), bool(is_alive), holds))
        return sorted(views, key=lambda view: view.heartbeat.worker)

    async def tallies(self) -> list[Tally]:
        rows = await self._link.run("tallies", [])
        tallies = [tally_read(name, fields) for name, fields in zip(rows[::2], rows[1::2], strict=True)]
        return sorted(tallies, key=lambda tally: (tally.task, tally.pool))

    async def find(self, search: Search) -> list[TaskView]:
        found = await self._matching(search, _letters(search))
        found.sort(key=lambda pair: -pair[0])
        return [view for _, view in found[: search.limit]]

    async def act(self, action: Action, search: Search) -> int:
        is_dead = action == "requeue" or search.dead
        letters = DEAD if is_dead else LETTERS[State.QUEUED] + PARKED + LETTERS[State.SCHEDULED]
        ids = [view.id for _, view in await self._matching(search, letters)]
        acted = 0
        for start in range(0, len(ids), AT_ONCE):
            acted += await self._link.run("act", [action, int(is_dead), *ids[start : start + AT_ONCE]])
        return acted

    async def _matching(self, search: Search, letters: str) -> list[tuple[int, TaskView]]:
        """Place in the line and view of each message in these states that is sought."""
        ids: Sequence[str]
        if search.ids is not None:
            ids = list(dict.fromkeys(search.ids))
        else:
            ids = [id.decode() for id in await self._link.run("ids", [letters])]
        rows = await self._link.run("lanes", [])
        lanes: dict[int, Lane] = {rows[at + 1]: lane_named(rows[at]) for at in range(0, len(rows), 6)}
        workers = {int(row[0]): _heartbeat.decode(row[1]).worker for row in await self._workers()}
        matching = []
        for start in range(0, len(ids), AT_ONCE):
            some = ids[start : start + AT_ONCE]
            for id, stored in zip(some, await self._link.run("look", some), strict=True):
                if stored is None or header(stored).letter.decode() not in letters:
                    continue
                seen = view(id, stored, lanes, workers)
                if _is_sought(seen, search):
                    matching.append((header(stored).seq, seen))
        return matching

    async def _workers(self) -> list[tuple[bytes, bytes, bytes, int, int]]:
        rows = await self._link.run("workers", [])
        return [tuple(rows[at : at + 5]) for at in range(0, len(rows), 5)]


def _letters(search: Search) -> str:
    """The states that are sought; a dead letter has failed."""
    if search.dead:
        return DEAD if search.state in (None, State.FAILED) else ""
    if search.state is None:
        return "".join(LETTERS.values()) + PARKED + DEAD
    return LETTERS[search.state] + {State.FAILED: DEAD, State.QUEUED: PARKED}.get(search.state, "")


def _is_sought(seen: TaskView, search: Search) -> bool:
    return (
        (search.queue is None or seen.queue == search.queue)
        and (search.task is None or seen.task == search.task)
        and (search.state is None or seen.state is search.state)
    )
