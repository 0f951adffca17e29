"""A run whose function returns a workflow ends in what is sent in its place; any other value is encoded."""

import asyncio
from typing import Any

import pytest

from polypool import Polypool
from polypool.core.codec import decode_any, encode
from polypool.core.error import SendError
from polypool.core.join import Flow
from polypool.core.message import Message
from polypool.core.outcome import Done, Failed, Outcome, Replaced
from polypool.core.running import Sendable
from polypool.pools.child.call import Call
from polypool.pools.child.invoke import Invoker
from polypool.pools.child.meter import ThreadClock

FLOW = Flow(waits=1, gathers=True)


class Workflow(Sendable):
    """What a task may return."""

    def __init__(self, name: str) -> None:
        self.name = name


class Shop(Polypool):
    """An app that knows what is sent for some."""

    asked: tuple[Any, ...] = ()

    def replacement(self, value: Any, message: Message) -> Replaced | None:
        self.asked += (value,)
        if value.name == "refused":
            raise SendError("refused: it is empty")
        return Replaced([message], FLOW) if value.name == "known" else None


app = Shop("shop", broker="memory://")


@app.task(name="plain")
def plain(name: str) -> Any:
    return Workflow(name) if name else [name]


@app.task(name="async")
async def async_(name: str) -> Any:
    return Workflow(name) if name else [name]


def run(task: str, name: str) -> Outcome:
    nobody: Any = None
    invoker = Invoker(app, ThreadClock(), nobody)
    message = Message(id="1", task=task, args=encode([[name], {}]))
    call = Call(1, 1, 1, message, app.tasks[task], nobody)
    return asyncio.run(invoker.run_async(call)) if task == "async" else invoker.run(call)


@pytest.mark.parametrize("task", ["plain", "async"])
def test_a_run_that_returns_a_workflow_is_replaced_and_measured(task: str) -> None:
    outcome = run(task, "known")
    assert isinstance(outcome, Replaced)
    assert (outcome.flow, [message.id for message in outcome.messages]) == (FLOW, ["1"])
    assert outcome.usage is not None and outcome.usage.wall > 0


@pytest.mark.parametrize("task", ["plain", "async"])
def test_a_workflow_that_cannot_be_sent_fails_the_run(task: str) -> None:
    outcome = run(task, "refused")
    assert isinstance(outcome, Failed)
    assert (outcome.failure.type, outcome.failure.message) == ("polypool.core.error.SendError", "refused: it is empty")


@pytest.mark.parametrize("task", ["plain", "async"])
def test_what_the_app_takes_for_an_ordinary_value_is_encoded_as_one(task: str) -> None:
    outcome = run(task, "unknown")
    assert isinstance(outcome, Failed)
    assert outcome.failure.type == "polypool.core.error.NotEncodable"


@pytest.mark.parametrize("task", ["plain", "async"])
def test_the_app_is_not_asked_about_ordinary_values(task: str) -> None:
    before = app.asked
    outcome = run(task, "")
    assert isinstance(outcome, Done) and decode_any(outcome.value) == [""]
    assert app.asked == before
