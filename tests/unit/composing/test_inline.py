"""Workflows come to the same here and now, by plain function calls, as they do when they are sent."""

import asyncio
from collections.abc import AsyncIterator, Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polypool import Polypool, chain, chord, group
from polypool.testing import run_in_place

app = Polypool("inline", broker="memory://")


@app.task(name="add")
def add(given: Any, own: int = 0) -> int:
    """Any number, or the sum of a list however deep."""
    return own + (sum(map(add, given)) if isinstance(given, list) else given)


@app.task(name="aadd")
async def aadd(given: Any, own: int = 0) -> int:
    return int(add(given, own))


@app.task(name="unfold")
def unfold(given: Any) -> Any:
    return group(add.s(given, own) for own in range(2)) | add.s(3)


def signatures() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.integers(0, 9).map(lambda own: add.s(own=own)),
        st.integers(0, 9).map(aadd.s),
        st.integers(0, 9).map(add.si),
        st.just(None).map(lambda _: unfold.s()),
    )


def _larger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    parts = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        parts.map(chain),
        parts.map(group),
        st.tuples(parts, inner).map(lambda both: chord(*both)),
        st.builds(lambda first, last: first | last, inner, inner),
    )


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.recursive(signatures(), _larger, max_leaves=8))
def test_any_workflow_comes_to_the_same_here_and_sent(flow: Any) -> None:
    here = asyncio.run(flow(1)) if flow.is_async() else flow(1)
    with run_in_place(app):
        assert flow.delay(1).get() == here


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.recursive(signatures(), _larger, max_leaves=8))
def test_what_a_workflow_reads_like_is_what_it_is(flow: Any) -> None:
    again = eval(repr(flow), {"chain": chain, "group": group, "chord": chord, **app.tasks})
    assert repr(again) == repr(flow)


def test_an_error_here_is_the_functions_own() -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        (add.s(1) | add.s(None))()  # type: ignore[arg-type]


def test_callbacks_are_not_called_here() -> None:
    told: list[object] = []
    tell = app.task(name="tell")(told.append)
    assert add.s(1).link(tell.s())() == 1
    assert told == []


@app.task(name="counts")
def counts(n: int) -> Generator[int, None, int]:
    yield from range(n)
    return n


@app.task(name="acounts")
async def acounts(n: int) -> AsyncIterator[int]:
    for number in range(n):
        yield number


def test_a_step_that_yields_passes_on_what_it_returns() -> None:
    assert chain(counts.s(3), add.s(4))() == 7
    with run_in_place(app):
        assert chain(counts.s(3), add.s(4)).delay().get() == 7
    assert asyncio.run(chain(acounts.s(3), counts.si(2))()) == 2
