"""captured: what was sent, with which options, and nothing runs."""

from dataclasses import dataclass
from typing import Any

import pytest

from polypool import Polypool
from polypool.testing import Sent, captured

app = Polypool("shop", broker="nowhere://never-opened")


@dataclass
class Order:
    id: int


@app.task(name="ship", queue="orders", timeout=30)
def ship(order: Order, *, express: bool = False) -> None:
    raise AssertionError("nothing runs")


@app.task(name="mail")
async def mail(to: str) -> None:
    raise AssertionError("nothing runs")


def test_what_is_sent_is_recorded_with_typed_arguments_and_options() -> None:
    with captured(app) as sent:
        ship.apply_async((Order(7),), {"express": True}, countdown=5, expires=60, priority=3, max_retries=1)
        mail.delay("ann")
    first, second = sent
    assert (first.task, first.args, first.kwargs) == ("ship", (Order(7),), {"express": True})
    assert (first.queue, first.pool, first.priority) == ("orders", "threads", 3)
    assert (first.countdown, first.expires) == (5.0, 60.0)
    assert (first.max_retries, first.timeout) == (1, 30.0)
    assert (second.task, second.args, second.pool, second.countdown) == ("mail", ("ann",), "asyncio", None)


def test_sends_can_be_looked_up_by_task_and_forgotten() -> None:
    with captured(app) as sent:
        mail.map(["ann", "bob"])
        ship.delay(Order(1))
        assert [one.args for one in sent.of(mail)] == [("ann",), ("bob",)]
        assert len(sent.of("ship")) == 1
        assert len(sent) == 3
        sent.clear()
        assert not sent


def test_a_send_reads_like_a_call() -> None:
    with captured(app) as sent:
        ship.apply_async((Order(7),), {"express": True}, task_id="mine", priority=3)
    assert str(sent[0]) == "ship(Order(id=7), express=True) queue=orders priority=3 timeout=30.0"
    assert "ship(Order(id=7)" in repr(sent)


def test_a_record_can_be_compared_with_what_is_expected() -> None:
    with captured(app) as sent:
        mail.apply_async(("ann",), task_id="mine")
    assert sent == [Sent("mail", ("ann",), id="mine", pool="asyncio")]


async def test_async_code_is_captured_too() -> None:
    with captured(app) as sent:
        result = await mail.adelay("ann")
        assert await result.astatus() == "queued"
        with pytest.raises(TimeoutError, match=r"nothing runs under captured\(app\)"):
            await result
    assert sent[0].id == result.id


def test_results_can_be_asked_for_and_cancelled() -> None:
    with captured(app):
        result = mail.apply_async(("ann",), countdown=5)
        assert result.status == "scheduled"
        assert result.cancel()
        assert result.status == "cancelled"
        waits: list[Any] = [mail.delay("x").get, lambda: list(mail.delay("x").events())]
        for wait in waits:
            with pytest.raises(TimeoutError, match="nothing runs"):
                wait()
