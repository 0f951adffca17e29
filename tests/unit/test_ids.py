"""IdSource: unique, in order, and not inherited by a forked child."""

import itertools
import os
import threading
import time
import uuid

from polypool.ids import IdSource


def test_an_id_is_a_uuid_of_version_7_that_tells_its_time() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(IdSource()())
    after = time.time_ns() // 1_000_000
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert before <= made.int >> 80 <= after


def test_ids_of_one_process_are_in_the_order_in_which_they_were_made() -> None:
    new_id = IdSource()
    made = [new_id() for _ in range(20_000)]
    assert len(set(made)) == len(made)
    # Several fall into one step of the clock; their counter keeps the order, but for its one wrap in 2^62.
    assert sum(a > b for a, b in itertools.pairwise(made)) <= 1


def test_threads_never_make_the_same_id() -> None:
    new_id = IdSource()
    made: list[str] = []

    def make() -> None:
        made.extend([new_id() for _ in range(5_000)])

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 20_000


def test_a_forked_child_does_not_count_on_from_its_parents_number() -> None:
    new_id = IdSource()
    new_id()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, new_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    from_child, from_parent = os.read(reading, 32).decode(), new_id()
    os.close(reading)
    os.close(writing)
    # The last 62 bits hold the counter: had the child gone on from its parent's, both would be the same now.
    assert int(from_child, 16) & (2**62 - 1) != int(from_parent, 16) & (2**62 - 1)


def test_two_sources_begin_at_different_numbers() -> None:
    one, other = IdSource()(), IdSource()()
    assert one[-15:] != other[-15:]
