"""The interface is the same whoever serves it: what is asserted here of one face holds for each."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.unit.storefront import FACES, Shop


@pytest.fixture(params=FACES)
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    shop = Shop(request.param)
    yield shop
    shop.app.close()


@pytest.fixture
async def web(shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
    async with shop.client() as client:
        yield client
