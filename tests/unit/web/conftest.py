"""An app with public tasks behind a gateway, called over ASGI; a test runs what is sent by hand."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from polypool import Polypool
from polypool.web import asgi
from tests.unit.by_hand import EngineByHand


@dataclass
class Item:
    name: str
    count: int = 1


class Shop:
    def __init__(self) -> None:
        self.engine = EngineByHand()
        self.app = app = Polypool("shop", broker=self.engine)

        @app.task(name="pack", public=True)
        def pack(item: Item, fragile: bool = False) -> str:
            """Pack one item.

            It is wrapped first.
            """
            return f"{item.name} × {item.count}"

        @app.task(name="wake", public=True)
        async def wake(at: datetime, key: bytes = b"") -> None: ...

        @app.task(name="rest", public=True, bind=True)
        def rest(self: Any) -> None: ...

        @app.task(name="a task/with a odd name", public=True)
        def odd() -> None: ...

        @app.task(name="secret")
        def secret(x: int) -> int:
            return x

        self.pack, self.secret = pack, secret

    def client(self, served: ASGIApp | None = None, **options: Any) -> httpx.AsyncClient:
        """Whoever calls the gateway."""
        transport = httpx.ASGITransport(served or asgi(self.app, **options))
        return httpx.AsyncClient(transport=transport, base_url="http://shop")


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop()
    yield shop
    shop.app.close()


@pytest.fixture
async def web(shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
    async with shop.client() as client:
        yield client
