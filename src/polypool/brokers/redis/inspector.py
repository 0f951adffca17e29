"""The Inspector port over Redis."""

import heapq
from collections.abc import AsyncIterator

import msgspec

from polypool.brokers.redis.link import Link
from polypool.brokers.redis.membership import tally_read
from polypool.brokers.redis.record import (
    BEGINNING,
    DEAD,
    LETTERS,
    PARKED,
    TELLS,
    WAITS,
    header,
    lane_named,
    record,
    stored_message,
    view,
)
from polypool.brokers.redis.signals import Names
from polypool.core.decide import signals
from polypool.core.event import Record
from polypool.core.join import Signal
from polypool.core.lifecycle import State
from polypool.core.measure import Tally
from polypool.core.message import Lane
from polypool.core.report import Action, Heartbeat, LaneCount, Search, TaskView, WorkerView

AT_ONCE = 500
"""Messages a call, so that workers get their turn."""
WHOLE_AT_ONCE = 50
"""Whole messages a call: each may be of many megabytes."""
_IN_LANES = LETTERS[State.QUEUED] + PARKED + LETTERS[State.SCHEDULED] + WAITS

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
        letters, lanes = _letters(search), await self._lanes()
        matching = [pair async for pair in self._matching(search, letters, lanes)]
        newest = [id for _, id, _ in heapq.nlargest(search.limit, matching)]
        workers = {int(row[0]): _heartbeat.decode(row[1]).worker for row in await self._workers()}
        views = []
        for start in range(0, len(newest), WHOLE_AT_ONCE):
            some = newest[start : start + WHOLE_AT_ONCE]
            for id, stored in zip(some, await self._link.run("look", some), strict=True):
                if stored is not None and header(stored).letter.decode() in letters:
                    views.append(view(id, stored, lanes, workers))
        return views

    async def act(self, action: Action, search: Search) -> int:
        is_dead = action == "requeue" or search.dead
        letters = DEAD if is_dead else _IN_LANES
        # All are found before the first is acted on: a list that shrinks meanwhile would be walked with gaps.
        found = [(id, flags) async for _, id, flags in self._matching(search, letters, await self._lanes())]
        acted = 0
        for start in range(0, len(found), AT_ONCE):
            some = dict(found[start : start + AT_ONCE])
            names, told = Names(), {} if is_dead else await self._told([id for id in some if some[id] & TELLS])
            words = [word for id in some for word in (id, names.word(told.get(id, ())))]
            acted += await self._link.run("act", [action, int(is_dead), *names.all(), *words])
        return acted

    async def _told(self, ids: list[str]) -> dict[str, tuple[Signal, ...]]:
        """What it means to the steps behind these that they are not to run."""
        told = {}
        for start in range(0, len(ids), WHOLE_AT_ONCE):
            some = ids[start : start + WHOLE_AT_ONCE]
            for id, stored in zip(some, await self._link.run("look", some), strict=True):
                if stored is not None:
                    told[id] = signals(stored_message(id, stored), State.CANCELLED, None)
        return told

    async def _matching(
        self, search: Search, letters: str, lanes: dict[int, Lane]
    ) -> AsyncIterator[tuple[int, str, int]]:
        """Place in the line, id and flags of each message in these states that is sought. Reads beginnings only."""
        seen = set[str]()
        async for page in self._pages(search, letters, lanes):
            ids = [id for id in page if id not in seen]
            seen.update(ids)
            if not ids:
                continue
            for id, stored in zip(ids, await self._link.run("read", ["", BEGINNING, *ids]), strict=True):
                if stored is None:
                    continue
                head = header(stored)
                if head.letter.decode() in letters and _is_sought(record(id, stored), lanes.get(head.lane), search):
                    yield head.seq, id, head.flags

    async def _pages(self, search: Search, letters: str, lanes: dict[int, Lane]) -> AsyncIterator[list[str]]:
        """Ids that may be sought, so many a call that workers get their turn."""
        if search.ids is not None:
            ids = list(dict.fromkeys(search.ids))
            for start in range(0, len(ids), AT_ONCE):
                yield ids[start : start + AT_ONCE]
            return
        numbers = [number for number, lane in lanes.items() if search.queue is None or lane.queue == search.queue]
        for letter in letters:
            shelves: list[int | str] = [""]
            if letter in _IN_LANES:
                shelves = [*numbers]
            elif letter == LETTERS[State.RUNNING]:
                shelves = [int(row[0]) for row in await self._workers()]
            for shelf in shelves:
                async for page in self._shelf(letter, shelf):
                    yield page

    async def _shelf(self, letter: str, shelf: int | str) -> AsyncIterator[list[str]]:
        last = -1
        while True:
            found = await self._link.run("ids", [letter, shelf, last - AT_ONCE + 1, last])
            ids = [id.decode() for id in found]
            for start in range(0, len(ids), AT_ONCE):
                yield ids[start : start + AT_ONCE]
            if len(ids) != AT_ONCE or letter == LETTERS[State.RUNNING]:
                return
            last -= AT_ONCE

    async def _lanes(self) -> dict[int, Lane]:
        rows = await self._link.run("lanes", [])
        return {rows[at + 1]: lane_named(rows[at]) for at in range(0, len(rows), 6)}

    async def _workers(self) -> list[tuple[bytes, bytes, bytes, int, int]]:
        rows = await self._link.run("workers", [])
        return [tuple(rows[at : at + 5]) for at in range(0, len(rows), 5)]


def _letters(search: Search) -> str:
    """The states that are sought; a dead letter has failed."""
    if search.dead:
        return DEAD if search.state in (None, State.FAILED) else ""
    if search.state is None:
        return "".join(LETTERS.values()) + PARKED + WAITS + DEAD
    return LETTERS[search.state] + {State.FAILED: DEAD, State.QUEUED: PARKED, State.SCHEDULED: WAITS}.get(
        search.state, ""
    )


def _is_sought(known: Record, lane: Lane | None, search: Search) -> bool:
    return (
        (search.queue is None or (lane is not None and lane.queue == search.queue))
        and (search.task is None or known.task == search.task)
        and (search.state is None or known.state is search.state)
    )
