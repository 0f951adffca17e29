"""The book counts how runs ended and what they took, and loses no count on its way to the engine."""

import msgspec

from polypool.core.join import OPEN, Flow, Input, One
from polypool.core.outcome import Deferred, Done, Failed, Failure, Lost, Replaced, Usage
from polypool.worker.book import Book
from tests.unit.worker.stand import delivery

USAGE = Usage(started_at=1002.0, wall=0.5, cpu=0.1)


def test_it_counts_each_way_a_run_can_end() -> None:
    book = Book()
    for outcome in (Done(b"", USAGE), Failed(Failure("ValueError", "no"), USAGE), Lost("killed")):
        book.count(delivery("a"), "threads", outcome)
    _, (tally,) = book.take_unreported()
    assert (tally.succeeded, tally.failed, tally.lost, tally.runs) == (1, 1, 1, 3)
    assert (tally.wall, tally.cpu, tally.wait) == (1.0, 0.2, 4.0)


def test_what_goes_back_without_running_is_no_run() -> None:
    book = Book()
    book.count(delivery("a"), "threads", Deferred())
    assert book.take_unreported() == (1, ())


def test_waiting_is_counted_from_when_the_message_was_due() -> None:
    book = Book()
    book.count(delivery("a", due=1001.5), "threads", Done(b"", USAGE))
    assert book.take_unreported()[1][0].wait == 0.5


def test_what_a_step_waited_for_others_is_no_waiting_for_this_pool() -> None:
    book = Book()
    book.count(delivery("a", flow=Flow(waits=2)), "threads", Done(b"", USAGE))
    book.count(delivery("b", flow=Flow(waits=OPEN)), "threads", Done(b"", USAGE))
    (tally,) = book.take_unreported()[1]
    assert (tally.succeeded, tally.wait) == (2, 0.0)
    book.confirm()
    book.count(delivery("c", flow=Flow()), "threads", Done(b"", USAGE))
    assert book.take_unreported()[1][0].wait == 2.0, "the first step of a workflow waits for nobody"


def test_what_there_was_no_run_of_is_not_counted() -> None:
    book = Book()
    book.count(delivery("a", flow=Flow(gathers=True, inputs=(Input(One("b")),))), "threads", Done(b""))
    broken = msgspec.structs.replace(delivery("c"), cause=b"because")
    book.count(broken, "threads", Failed(Failure("ValueError", "no")))
    assert book.take_unreported()[1] == ()


def test_a_run_that_returned_a_workflow_succeeded() -> None:
    book = Book()
    book.count(delivery("a"), "threads", Replaced([], Flow(waits=1, gathers=True), USAGE))
    (tally,) = book.take_unreported()[1]
    assert (tally.succeeded, tally.wall) == (1, 0.5)


def test_a_report_that_may_not_have_arrived_is_told_again_as_it_was_and_what_came_since_in_the_next() -> None:
    book = Book()
    book.count(delivery("a"), "threads", Done(b"", USAGE))
    number, first = book.take_unreported()
    book.count(delivery("b"), "threads", Done(b"", USAGE))
    book.doubt()
    assert book.take_unreported() == (number, first)
    book.confirm()
    assert book.take_unreported() == (number + 1, first), "one run of the same length"


def test_what_was_reported_still_counts_for_placement() -> None:
    book = Book()
    book.count(delivery("a"), "threads", Done(b"", USAGE))
    assert book.take_unreported()[1]
    book.confirm()
    book.count(delivery("b"), "prefork", Done(b"", USAGE))
    found = book.of_task("shop.pack")
    assert {pool: tally.runs for pool, tally in found.items()} == {"threads": 1, "prefork": 1}
    assert book.of_task("shop.send") == {}


def test_what_is_on_its_way_counts_for_placement_already() -> None:
    book = Book()
    book.count(delivery("a"), "threads", Done(b"", USAGE))
    assert book.take_unreported()[1]
    assert book.of_task("shop.pack")["threads"].runs == 1
