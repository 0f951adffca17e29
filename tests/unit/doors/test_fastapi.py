"""Public tasks in a FastAPI app and in its documentation. What is answered: tests/unit/rest."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
import msgspec
import pytest
from fastapi import Depends, FastAPI, Header, HTTPException

from polypool import Polypool
from polypool.doors.fastapi import router
from tests.unit.storefront import Shop

CUP = {"item": {"name": "cup"}}
TOKEN = "0123456789abcdef"


@dataclass
class Node:
    name: str
    below: "list[Node]"


class Cat(msgspec.Struct, tag=True):
    lives: int


class Dog(msgspec.Struct, tag=True):
    tricks: int


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop("fastapi")
    yield shop
    shop.app.close()


def mounted(shop: Shop, **options: Any) -> FastAPI:
    mine = FastAPI()
    mine.include_router(router(shop.app, **options), prefix="/jobs")
    return mine


def described(web: FastAPI, path: str) -> Any:
    return web.openapi()["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]


async def test_addresses_are_told_with_the_prefix(shop: Shop) -> None:
    async with shop.client(mounted(shop)) as web:
        answer = await web.post("/jobs/tasks/pack", json=CUP)
        assert answer.headers["location"] == f"/jobs/results/{answer.json()['id']}"
        assert (await web.get(answer.headers["location"])).json()["status"] == "queued"
        assert (await web.get("/jobs/openapi.json")).json()["servers"] == [{"url": "/jobs"}]
        assert (await web.get("/jobs/docs")).status_code == 200


async def test_addresses_are_told_as_they_are_outside_of_a_proxy(shop: Shop) -> None:
    transport = httpx.ASGITransport(mounted(shop), root_path="/shop")
    async with httpx.AsyncClient(transport=transport, base_url="http://web") as web:
        for path in ("/jobs/tasks/pack", "/shop/jobs/tasks/pack"):  # cut off by the proxy, and passed on
            assert (await web.post(path, json=CUP)).headers["location"].startswith("/shop/jobs/results/")


async def test_dependencies_say_who_may(shop: Shop) -> None:
    async def known(user: Annotated[str | None, Header()] = None) -> None:
        if user != "anna":
            raise HTTPException(403, "who are you?")

    mine = FastAPI()
    mine.include_router(router(shop.app), prefix="/jobs", dependencies=[Depends(known)])
    async with shop.client(mine) as web:
        for method, path in (
            ("POST", "/tasks/pack"),
            ("POST", "/tasks/unknown"),
            ("GET", "/results/1"),
            ("GET", "/results/1/events"),
            ("DELETE", "/results/1"),
            ("GET", "/openapi.json"),
        ):
            assert (await web.request(method, f"/jobs{path}", json=CUP)).status_code == 403, path
        assert (await web.post("/jobs/tasks/pack", json=CUP, headers={"user": "anna"})).status_code == 202


async def test_each_task_is_in_the_apps_own_documentation(shop: Shop) -> None:
    mine = mounted(shop)
    told = mine.openapi()
    assert {path for path in told["paths"] if path.startswith("/jobs/")} == {
        "/jobs/tasks/pack",
        "/jobs/tasks/wake",
        "/jobs/tasks/rest",
        "/jobs/tasks/a task/with a odd name",
        "/jobs/results/{id}",
        "/jobs/results/{id}/events",
    }
    post = told["paths"]["/jobs/tasks/pack"]["post"]
    assert (post["summary"], post["description"], post["tags"]) == ("Pack one item.", "It is wrapped first.", ["tasks"])
    assert set(post["responses"]) == {"200", "202", "400", "401", "413", "415", "422", "429", "503"}
    assert [*post["responses"]["422"]["content"]] == ["application/problem+json"]
    assert {one["name"] for one in post["parameters"]} == {"wait", "Idempotency-Key"}
    events = told["paths"]["/jobs/results/{id}/events"]["get"]
    assert [*events["responses"]["200"]["content"]] == ["text/event-stream"]
    body = described(mine, "/jobs/tasks/pack")
    assert body["required"] == ["item"] and body["additionalProperties"] is False
    assert body["properties"]["fragile"] == {"type": "boolean", "default": False}
    item = body["properties"]["item"]
    assert item["title"] == "Item" and item["properties"]["count"] == {"type": "integer", "default": 1}


async def test_no_reference_leads_nowhere_whatever_the_types() -> None:
    app = Polypool("zoo", broker="memory://")

    @app.task(name="walk", public=True)
    def walk(tree: Node, pets: list[Cat | Dog]) -> Node:
        return tree

    web = FastAPI()
    web.include_router(router(app))
    told = json.dumps(web.openapi())
    known = set(web.openapi().get("components", {}).get("schemas", {}))
    assert set(re.findall(r'"#/components/schemas/([^"]+)"', told)) <= known
    body = described(web, "/tasks/walk")
    assert body["properties"]["tree"]["properties"]["below"]["items"] == {"title": "Node"}
    pets = body["properties"]["pets"]["items"]["anyOf"]
    assert [pet["properties"]["type"]["enum"] for pet in pets] == [["Cat"], ["Dog"]]


async def test_operations_have_names_of_their_own(shop: Shop) -> None:
    operations = [one for path in mounted(shop).openapi()["paths"].values() for one in path.values()]
    names = [one["operationId"] for one in operations]
    assert len(names) == len(set(names)) == 7


async def test_tokens_can_be_typed_into_the_apps_documentation(shop: Shop) -> None:
    assert "securitySchemes" not in mounted(shop).openapi().get("components", {})
    guarded = mounted(shop, tokens=[TOKEN])
    told = guarded.openapi()
    assert told["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    assert told["paths"]["/jobs/tasks/pack"]["post"]["security"] == [{"HTTPBearer": []}]
    async with shop.client(guarded) as web:
        refused = await web.post("/jobs/tasks/pack", json=CUP)
        assert refused.status_code == 401 and refused.headers["content-type"] == "application/problem+json"
        shown = {"authorization": f"Bearer {TOKEN}"}
        assert (await web.post("/jobs/tasks/pack", json=CUP, headers=shown)).status_code == 202


async def test_the_apps_own_addresses_are_left_alone(shop: Shop) -> None:
    async with shop.client(mounted(shop)) as web:
        assert (await web.get("/docs")).text.count("swagger") > 0
        assert (await web.get("/jobs/nowhere")).json() == {"detail": "Not Found"}


@pytest.mark.parametrize("library", ["fastapi", "sse_starlette"])
def test_without_its_libraries_it_says_what_to_install(library: str) -> None:
    script = f"import sys; sys.modules['{library}'] = None; import polypool.doors.fastapi"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    last = ended.stderr.strip().splitlines()[-1]
    assert "MissingExtra" in last and "polypool[" in last
