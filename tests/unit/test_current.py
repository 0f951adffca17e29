"""current: what a running task may know and say, and what it is elsewhere."""

from typing import Any

import pytest

from polypool import NoCurrentTask, RetryRequested, current
from polypool.core.message import Message
from polypool.core.running import running


class Run:
    """A run as a child makes it."""

    message = Message("id-1", "shop.scan", b"", parent="id-0", root="id-root")
    attempt = 2
    run = 7

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.state = {"client": 1}

    def progress(self, done: float, total: float | None, note: str) -> None:
        self.told.append((done, total, note))

    def emit(self, data: Any) -> None:
        self.told.append(data)


@pytest.mark.parametrize("name", ["task_id", "task", "attempt", "parent_id", "root_id", "state"])
def test_outside_of_a_task_there_is_nothing_to_know(name: str) -> None:
    with pytest.raises(NoCurrentTask, match=rf"current\.{name} .*run_in_place"):
        getattr(current, name)


def test_outside_of_a_task_there_is_nothing_to_say() -> None:
    for say in (lambda: current.progress(1), lambda: current.emit(1), current.retry):
        with pytest.raises(NoCurrentTask):
            say()
    assert repr(current) == "<current: no task>"


def test_inside_of_a_task_it_shows_the_run_and_passes_on_what_is_told() -> None:
    run = Run()
    token = running.set(run)
    try:
        assert (current.task_id, current.task, current.attempt) == ("id-1", "shop.scan", 2)
        assert (current.parent_id, current.root_id, current.state) == ("id-0", "id-root", {"client": 1})
        current.progress(1, 3, note="one")
        current.progress(2)
        current.emit({"a": 1})
        retry = current.retry(countdown=5)
        assert repr(current) == "<current: shop.scan id-1, attempt 2>"
    finally:
        running.reset(token)
    assert run.told == [(1, 3, "one"), (2, None, ""), {"a": 1}]
    assert isinstance(retry, RetryRequested)
    assert retry.countdown == 5
