"""Outbox: everything is sent once and in order, whichever thread sends it."""

import socket
import threading
from collections.abc import Iterator

import pytest

from polypool.core.outcome import Done
from polypool.pools.child.outbox import Outbox
from polypool.pools.wire import Finished, Frames, decode_up

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(20)
    yield ours, theirs
    ours.close()
    theirs.close()


def finished(number: int, size: int = 1) -> Finished:
    return Finished(number, Done(bytes(size)))


def numbers(theirs: socket.socket, count: int) -> list[int]:
    """Read until so many outcomes have come."""
    frames, found = Frames(), list[int]()
    while len(found) < count:
        for body in frames.feed(theirs.recv(1 << 20)):
            found += [item.number for item in decode_up(body) if isinstance(item, Finished)]
    return found


def test_the_last_one_is_sent_by_the_thread_that_puts_it(ends: Ends) -> None:
    ours, theirs = ends
    outbox = Outbox(ours)  # no thread writes
    outbox.put(finished(1))
    outbox.put_last(finished(2))
    assert numbers(theirs, 2) == [1, 2]


def test_what_the_socket_does_not_take_at_once_goes_first_with_the_next(ends: Ends) -> None:
    ours, theirs = ends
    outbox = Outbox(ours)
    for number in range(1, 9):
        outbox.put_last(finished(number, 500_000))  # never blocks, though nobody reads
    threading.Thread(target=outbox.write, daemon=True).start()
    assert numbers(theirs, 8) == list(range(1, 9))


def test_nothing_is_lost_where_several_threads_put(ends: Ends) -> None:
    ours, theirs = ends
    outbox = Outbox(ours)
    threading.Thread(target=outbox.write, daemon=True).start()

    def put(first: int) -> None:
        for number in range(first, first + 500):
            (outbox.put_last if number % 3 else outbox.put)(finished(number))

    putting = [threading.Thread(target=put, args=(first,)) for first in (0, 500, 1000)]
    for thread in putting:
        thread.start()
    assert sorted(numbers(theirs, 1500)) == list(range(1500))
    for thread in putting:
        thread.join()
