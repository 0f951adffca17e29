"""Ending all of a workflow, or of a part of it: what waits, what runs, and what runs were replaced by.

Those that wait are ended before those that they wait for, so nothing is set going only to be ended in turn. Callbacks
are not run: to the engine they are not needed when a step was cancelled.
"""

from collections.abc import Callable
from itertools import count, islice

from polypool.canvas.part import Part, possible_roots, returned, step_ids
from polypool.canvas.shape import Bulk
from polypool.conversation import Conversation
from polypool.core.ask import Cancel, Read
from polypool.core.event import Record
from polypool.core.gather import WINDOW
from polypool.core.lifecycle import State
from polypool.results.lineage import counted, place_in, views_of


def cancel(id: str) -> Conversation[bool]:
    """End this task or, of a workflow, all that belongs to it. Whether anything had not ended before."""
    (was_ended,) = yield Cancel([id])
    views = yield from views_of(possible_roots(id))
    place = place_in(id, views)
    if place is not None:
        others = yield from end_part(place.part, lambda _: True)
    else:
        flow = views[id].flow if id in views else None
        if flow is None or flow.replacement is None:
            return bool(was_ended)
        others = yield from cancel_returned(id, flow.replacement)
    return bool(was_ended) or others > 0


def cancel_members(id: str, known: int | None) -> Conversation[int]:
    """End a group with all that belongs to it; how many of its members had not ended. `known`: how many it has, where
    its holder knows."""
    place = place_in(id, (yield from views_of(possible_roots(id))))
    if place is not None and place.part.end.is_group:
        part = place.part
    else:
        part = Part(id, Bulk("", known))
    ended: int = yield from end_part(part, lambda one: one.startswith(f"{id}-") and one[len(id) + 1 :].isdecimal())
    return ended


def cancel_returned(step: str, replacement: bytes) -> Conversation[int]:
    """End the workflow that a run of this step returned; how many steps of it had not ended."""
    return end_part(returned(step, replacement), lambda _: True)


def end_part(part: Part, counts: Callable[[str], bool]) -> Conversation[int]:
    """End every step in it that has not ended; how many of those that count."""
    ended = 0
    sizes = {}
    for bulk in part.bulks():
        size = yield from counted(bulk)
        if size is None:
            ended += yield from _end_uncounted(bulk, counts)
        else:
            sizes[bulk.id] = size
    steps = step_ids(part, sizes)
    while window := list(islice(steps, WINDOW)):
        ended += yield from _end_window(window, counts)
    return ended


def _end_uncounted(bulk: Part, counts: Callable[[str], bool]) -> Conversation[int]:
    """Members whose sender has not come to the end, as far as they are there."""
    ended = 0
    for start in count(0, WINDOW):
        members = [bulk.member(index) for index in range(start, start + WINDOW)]
        if not any((yield Read([member.id for member in members]))):
            return ended
        steps = (id for member in members for id in step_ids(member, {}))
        while window := list(islice(steps, WINDOW)):
            ended += yield from _end_window(window, counts)
    return ended


def _end_window(ids: list[str], counts: Callable[[str], bool]) -> Conversation[int]:
    records: list[Record | None] = yield Read(ids)
    known = [record for record in records if record is not None]
    unended = [record.id for record in known if not record.state.is_final]
    ended = 0
    if unended:
        answers = yield Cancel(unended)
        ended = sum(was_ended for id, was_ended in zip(unended, answers, strict=True) if counts(id))
    replaced = [record.id for record in known if _may_be_replaced(record)]
    if replaced:
        for id, view in (yield from views_of(replaced)).items():
            if view.flow is not None and view.flow.replacement is not None:
                ended += yield from end_part(returned(id, view.flow.replacement), counts)
    return ended


def _may_be_replaced(record: Record) -> bool:
    """Whether steps of a workflow that it returned may not have ended: it waits for them, or the first that failed was
    its end."""
    if record.failure is not None and record.failure.origin is not None:
        return record.failure.origin.id.startswith(f"{record.id}~")
    return record.state in (State.SCHEDULED, State.RUNNING)
