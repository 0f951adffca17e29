"""Polypool: declaring tasks, and what a worker learns of them."""

import asyncio
from collections.abc import AsyncIterator, Generator
from typing import Any

import pytest

from polypool import ConfigurationError, Polypool, UnknownOption
from polypool.app import DEFAULT_BROKER
from polypool.core.error import TraitMissing
from polypool.core.message import Policy


def test_the_broker_is_the_argument_else_the_environment_else_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POLYPOOL_BROKER", raising=False)
    assert Polypool("a").manifest().broker == DEFAULT_BROKER
    monkeypatch.setenv("POLYPOOL_BROKER", "sqlite:///env.db")
    assert Polypool("a").manifest().broker == "sqlite:///env.db"
    assert Polypool("a", broker="memory://").manifest().broker == "memory://"


def test_nothing_is_opened_before_the_first_send(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    app = Polypool("a", broker="sqlite:///a.db")
    app.task(name="t")(print)
    app.manifest()
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_engine_is_told_at_the_first_send_and_the_app_stays_usable() -> None:
    app = Polypool("a", broker="nonsense://x")

    @app.task(name="t")
    def t() -> None: ...

    try:
        for _ in range(2):
            with pytest.raises(ConfigurationError, match="nonsense://"):
                t.delay()
    finally:
        app.close()


def test_a_bare_decorator_and_one_with_options_both_declare() -> None:
    app = Polypool("a", broker="memory://")

    @app.task
    def bare() -> None: ...

    @app.task(queue="fast", name="named", max_retries=0)
    async def with_options() -> None: ...

    @app.task()
    def empty() -> None: ...

    assert list(app.tasks) == [bare.name, "named", empty.name]
    named = app.manifest().tasks[1]
    assert (named.name, named.queue, named.pool, named.is_async) == ("named", "fast", "asyncio", True)
    assert named.policy == Policy(max_retries=0)


def test_the_apps_defaults_hold_unless_a_task_says_otherwise() -> None:
    app = Polypool("a", broker="memory://", queue="q", max_retries=9, result_ttl=60, autoretry_for=(OSError,))
    one = app.task(name="one")(lambda: None)
    other = app.task(name="other", queue="own", autoretry_for=())(lambda: None)
    assert (one.spec.queue, one.spec.policy.max_retries, one.spec.policy.result_ttl) == ("q", 9, 60)
    assert one.autoretry_for == (OSError,)
    assert (other.spec.queue, other.autoretry_for) == ("own", ())
    assert not other.spec.policy.retries_timeout


def test_unknown_options_fail_where_they_are_written() -> None:
    app: Any = Polypool("a", broker="memory://")
    with pytest.raises(UnknownOption, match="did you mean max_retries"):

        @app.task(max_retry=3)
        def t() -> None: ...

    with pytest.raises(UnknownOption, match="did you mean queue"):
        Polypool("a", quue="x")  # type: ignore[call-arg]


def test_the_backend_of_the_environment_is_for_brokers_that_need_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYPOOL_BACKEND", "redis://results")
    assert Polypool("a", broker="amqp://here").manifest().backend == "redis://results"
    assert Polypool("a", broker="amqp://here", backend="sqlite:///r.db").manifest().backend == "sqlite:///r.db"
    assert Polypool("a", broker="sqlite:///a.db").manifest().backend is None


def test_a_priority_fails_where_it_is_written_if_the_queues_have_none() -> None:
    app = Polypool("a", broker="amqp://user:secret@here", backend="redis://results")
    with pytest.raises(TraitMissing, match=r"queue_type=classic") as refused:

        @app.task(priority=3)
        def t() -> None: ...

    assert "secret" not in str(refused.value)
    classic = Polypool("a", broker="amqp://here?queue_type=classic", backend="redis://results")
    assert classic.task(priority=3)(print).spec.priority == 3


def test_two_functions_under_one_name_are_refused_with_both_places() -> None:
    app = Polypool("a", broker="memory://")

    @app.task(name="t")
    def one() -> None: ...

    with pytest.raises(ConfigurationError, match=r"two functions are called t: .*test_app\.py:\d+ and .*test_app\.py"):

        @app.task(name="t")
        def other() -> None: ...

    assert app.tasks["t"].function is one.function


def test_a_function_that_yields_is_a_task_that_streams_and_called_here_gives_its_generator() -> None:
    app = Polypool("a", broker="memory://")

    @app.task
    def numbers(n: int) -> Generator[int, None, str]:
        yield from range(n)
        return "done"

    @app.task
    async def more(n: int) -> AsyncIterator[int]:
        for number in range(n):
            yield number

    @app.task
    def plain() -> None: ...

    assert (numbers.streams, more.streams, plain.streams) == (True, True, False)
    assert (numbers.spec.pool, more.spec.pool) == ("threads", "asyncio")
    assert list(numbers(3)) == [0, 1, 2]

    async def collected() -> list[int]:
        return [number async for number in more(3)]

    assert asyncio.run(collected()) == [0, 1, 2]


def test_what_is_no_function_is_refused() -> None:
    app: Any = Polypool("a", broker="memory://")
    with pytest.raises(ConfigurationError, match="a task is a function"):
        app.task(name="t")(dict)
    with pytest.raises(ConfigurationError, match="needs a name"):
        Polypool("")


def test_an_app_hands_a_child_what_it_needs() -> None:
    def lifespan(app: Polypool) -> Any: ...

    def wrap(call: Any) -> Any: ...

    app = Polypool("a", broker="memory://", lifespan=lifespan, middleware=[wrap])
    assert (app.lifespan, list(app.middleware)) == (lifespan, [wrap])

    @app.task(name="t", autoretry_for=OSError, bind=True)
    def t(self: Any) -> None: ...

    assert (t.bind, t.autoretry_for, t.is_async) == (True, (OSError,), False)


def test_registering_tasks_is_up_to_the_decorator() -> None:
    app: Any = Polypool("a", broker="memory://")
    with pytest.raises(TypeError):
        app.tasks["t"] = None


def test_a_task_is_public_only_where_it_says_so() -> None:
    app = Polypool("a", broker="memory://")
    assert not app.task(name="closed")(len).is_public
    assert app.task(name="open", public=True)(len).is_public
    with pytest.raises(ConfigurationError, match="public='yes' must be True or False"):
        app.task(name="odd", public="yes")(len)  # type: ignore[call-overload]
