"""An app with tasks for tests of workflows."""

from collections.abc import Iterator
from typing import Any

import pytest

from polypool import FailedStep, Polypool
from polypool.testing import Captured, captured


class Works:
    """Tasks that add, list, sum up and fail. `told`: what callbacks were told."""

    def __init__(self) -> None:
        app = self.app = Polypool("unit", broker="memory://")
        told: list[Any] = []
        self.told = told

        @app.task(name="add")
        def add(x: int, y: int = 0) -> int:
            return x + y

        @app.task(name="aadd", expires=60)
        async def aadd(x: int, y: int = 0) -> int:
            return x + y

        @app.task(name="total")
        def total(numbers: list[int], plus: int = 0) -> int:
            return sum(numbers) + plus

        @app.task(name="boom")
        def boom(x: int = 0) -> int:
            raise ValueError(f"boom {x}")

        @app.task(name="tell")
        def tell(what: int | list[int] | str | None = None) -> None:
            told.append(what)

        @app.task(name="tell_failure")
        def tell_failure(step: FailedStep) -> None:
            told.append((step.task_id, step.task, step.message))

        @app.task(name="report")
        def report(users: int, orders: int = 0) -> str:
            return f"{users} users, {orders} orders"

        self.add, self.aadd, self.total, self.boom = add, aadd, total, boom
        self.tell, self.tell_failure, self.report = tell, tell_failure, report


@pytest.fixture
def works() -> Works:
    return Works()


@pytest.fixture
def sent(works: Works) -> Iterator[Captured]:
    with captured(works.app) as sent:
        yield sent
