"""The gateway as an ASGI app of its own, and in apps of others."""

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from polypool.rest.settings import settings_of
from polypool.web import asgi, routes
from polypool.web.asgi import served
from polypool.web.gateway import Gateway
from tests.unit.rest.test_answers import CUP, sent
from tests.unit.storefront import Shop


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop("gateway")
    yield shop
    shop.app.close()


@pytest.fixture
async def web(shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
    async with shop.client() as client:
        yield client


async def test_who_waits_when_the_server_stops_is_told_how_it_stands(shop: Shop) -> None:
    gateway = Gateway(shop.app, settings_of({}))
    async with shop.client(served(gateway, ())) as web:
        id = await sent(web)
        gateway.stop()
        assert (await web.get(f"/results/{id}?wait=30")).json()["status"] == "queued"


async def test_what_is_not_there_is_a_problem_too(web: httpx.AsyncClient) -> None:
    assert (await web.get("/nowhere")).json()["status"] == 404
    wrong = await web.get("/tasks/pack")
    assert wrong.json()["status"] == 405 and wrong.headers["allow"] == "POST"


async def test_it_can_be_mounted_in_an_app(shop: Shop) -> None:
    mine = Starlette(routes=[Mount("/jobs", routes=routes(shop.app))])
    async with shop.client(mine) as web:
        answer = await web.post("/jobs/tasks/pack", json=CUP)
        assert answer.headers["location"] == f"/jobs/results/{answer.json()['id']}"
        assert (await web.get(answer.headers["location"])).json()["status"] == "queued"
        assert (await web.get("/jobs/openapi.json")).json()["servers"] == [{"url": "/jobs"}]


async def test_other_sites_may_not_call_it_unless_they_are_named(shop: Shop) -> None:
    asked = {"origin": "https://mine.example", "access-control-request-method": "POST"}
    async with shop.client() as web:
        assert "access-control-allow-origin" not in (await web.options("/tasks/pack", headers=asked)).headers
    async with shop.client(origins=("https://mine.example",)) as web:
        allowed = await web.options("/tasks/pack", headers=asked)
        assert allowed.headers["access-control-allow-origin"] == "https://mine.example"
        other = await web.options("/tasks/pack", headers={**asked, "origin": "https://other.example"})
        assert "access-control-allow-origin" not in other.headers


async def test_it_can_be_mounted_in_fastapi(shop: Shop) -> None:
    mine = FastAPI()
    mine.mount("/jobs", asgi(shop.app))
    async with shop.client(mine) as web:
        answer = await web.post("/jobs/tasks/pack", json=CUP)
        assert (await web.get(answer.headers["location"])).json()["status"] == "queued"


def test_without_its_libraries_it_says_what_to_install() -> None:
    script = "import sys; sys.modules['starlette'] = None; import polypool.web"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "MissingExtra" in ended.stderr and "pip install polypool[web]" in ended.stderr


async def test_what_goes_wrong_here_is_no_business_of_others(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def wrong(*_: object) -> None:
        raise RuntimeError("the password is 123")

    async with shop.client() as web:
        id = await sent(web)
        monkeypatch.setattr(shop.engine, "read", wrong)
        transport = httpx.ASGITransport(asgi(shop.app), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as outside:
            answer = await outside.get(f"/results/{id}")
    assert answer.status_code == 500 and "123" not in answer.text
