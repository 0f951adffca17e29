"""Calls begin in order, and what has begun is on the page before anybody sees it."""

import threading
from typing import Any

import pytest

from polypool.core.message import Message
from polypool.pools.child.backlog import Backlog
from polypool.pools.child.call import Call
from polypool.pools.page import Page, open_page


@pytest.fixture
def page() -> Page:
    return Page(open_page())


def calls(*numbers: int) -> list[Call]:
    nobody: Any = None
    return [Call(number, 1, 1, Message(id=str(number), task="t", args=b""), nobody, nobody) for number in numbers]


def test_calls_begin_in_the_order_of_their_numbers_each_noted_on_the_page(page: Page) -> None:
    backlog = Backlog(page)
    backlog.add(calls(1, 2, 3))
    for number in (1, 2, 3):
        call = backlog.begin()
        assert call is not None
        assert (call.number, page.begun) == (number, number)
        assert call.begun_at > 0
    assert backlog.begin() is None


def test_what_has_begun_cannot_be_taken_back(page: Page) -> None:
    backlog = Backlog(page)
    backlog.add(calls(1, 2, 3))
    backlog.begin()
    assert backlog.remove([1, 3]) == [3]
    assert [call.number for call in iter(backlog.begin, None) if call is not None] == [2]


def test_many_threads_begin_each_call_once_and_the_page_never_goes_back(page: Page) -> None:
    backlog = Backlog(page)
    backlog.add(calls(*range(1, 5001)))
    begun: list[int] = []
    fell: list[int] = []

    def work() -> None:
        while (call := backlog.begin()) is not None:
            begun.append(call.number)
            if page.begun < call.number:
                fell.append(call.number)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(begun) == list(range(1, 5001))
    assert fell == []
