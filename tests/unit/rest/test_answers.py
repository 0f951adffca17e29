"""What each request is answered with."""

import asyncio
from itertools import pairwise
from typing import Any

import httpx
import pytest

from polypool.core.codec import decode_any, encode
from polypool.core.error import EngineUnreachable
from polypool.core.outcome import Done, Failed, Failure
from tests.unit.storefront import Shop

CUP = {"item": {"name": "cup"}}


async def sent(web: httpx.AsyncClient) -> str:
    answer = await web.post("/tasks/pack", json=CUP)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def test_what_is_posted_is_sent_and_its_address_is_told(shop: Shop, web: httpx.AsyncClient) -> None:
    answer = await web.post("/tasks/pack", json=CUP)
    told = answer.json()
    assert answer.status_code == 202
    assert answer.headers["location"] == told["result"] == f"/results/{told['id']}"
    assert told["events"] == f"/results/{told['id']}/events"
    (delivery,) = shop.engine.take()
    assert delivery.id == told["id"] and delivery.message.task == "pack"
    assert decode_any(delivery.message.args) == [[], {"item": {"name": "cup"}}]


async def test_its_state_and_then_its_result_can_be_read(shop: Shop, web: httpx.AsyncClient) -> None:
    id = await sent(web)
    assert (await web.get(f"/results/{id}")).json() == {"id": id, "task": "pack", "status": "queued"}
    (delivery,) = shop.engine.take()
    assert (await web.get(f"/results/{id}")).json()["status"] == "running"
    shop.engine.end(delivery, Done(encode("packed")))
    answer = await web.get(f"/results/{id}")
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    assert told.pop("ended_at") > 0
    assert told == {"id": id, "task": "pack", "status": "succeeded", "result": "packed"}


async def test_a_failure_is_told_without_its_traceback(shop: Shop, web: httpx.AsyncClient) -> None:
    id = await sent(web)
    (delivery,) = shop.engine.take()
    shop.engine.end(delivery, Failed(Failure("builtins.ValueError", "too heavy", "File secret.py")))
    answer = await web.get(f"/results/{id}")
    assert answer.json()["status"] == "failed"
    assert answer.json()["error"] == {"type": "builtins.ValueError", "message": "too heavy"}
    assert "secret.py" not in answer.text


async def test_a_result_that_json_has_no_form_for_is_told_as_text(shop: Shop, web: httpx.AsyncClient) -> None:
    id = await sent(web)
    (delivery,) = shop.engine.take()
    shop.engine.end(delivery, Done(encode({(1, 2): 3})))
    assert (await web.get(f"/results/{id}")).json()["result"] == "{(1, 2): 3}"


async def test_who_waits_is_answered_when_the_task_ends(shop: Shop, web: httpx.AsyncClient) -> None:
    id = await sent(web)
    waiting = asyncio.ensure_future(web.get(f"/results/{id}?wait=30"))
    await asyncio.to_thread(shop.engine.run_all, lambda item: "packed")
    assert (await waiting).json()["result"] == "packed"


async def test_a_wait_is_bounded_and_then_says_how_it_stands(shop: Shop) -> None:
    async with shop.client(longest_wait=0.01) as web:
        id = await sent(web)
        assert (await web.get(f"/results/{id}?wait=1e9")).json()["status"] == "queued"
        assert (await web.post("/tasks/pack?wait=1e9", json=CUP)).status_code == 202


@pytest.mark.parametrize("wait", ["soon", "-1", "nan", ""])
async def test_a_wait_that_is_no_span_is_refused(web: httpx.AsyncClient, wait: str) -> None:
    answer = await web.post(f"/tasks/pack?wait={wait}", json=CUP)
    assert answer.status_code == 422 and "wait=" in answer.json()["detail"]


async def test_a_task_can_be_cancelled(shop: Shop, web: httpx.AsyncClient) -> None:
    id = await sent(web)
    answer = await web.delete(f"/results/{id}")
    assert answer.status_code == 202 and answer.json()["status"] == "cancelled"
    again = await web.delete(f"/results/{id}")
    assert again.status_code == 200 and again.json()["status"] == "cancelled"
    assert shop.engine.take() == []


async def test_a_task_that_is_not_public_is_not_there(shop: Shop, web: httpx.AsyncClient) -> None:
    assert (await web.post("/tasks/secret", json={"x": 1})).status_code == 404
    id = (await shop.secret.adelay(1)).id
    unknown = (await web.get("/results/nothing")).json()["detail"].replace("nothing", id)
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/events")):
        answer = await web.request(method, f"/results/{id}{path}")
        assert answer.status_code == 404
        assert answer.json()["detail"] == unknown
    assert len(shop.engine.take()) == 1


async def test_the_same_key_is_the_same_task(shop: Shop, web: httpx.AsyncClient) -> None:
    key = {"idempotency-key": "0b1e6a4e-5b0e-4c8f"}
    first, second = [await web.post("/tasks/pack", json=CUP, headers=key) for _ in range(2)]
    assert first.status_code == second.status_code == 202
    assert first.json() == second.json()
    assert len(shop.engine.take(10)) == 1
    short = await web.post("/tasks/pack", json=CUP, headers={"idempotency-key": "1"})
    assert short.status_code == 422


async def test_ids_cannot_be_guessed_from_each_other(web: httpx.AsyncClient) -> None:
    ids = [int(await sent(web), 16) for _ in range(5)]
    low = [id & ((1 << 62) - 1) for id in ids]
    assert min(abs(a - b) for a, b in pairwise(low)) > 1 << 32
    assert all(id >> 76 & 0xF == 7 and id >> 62 & 0x3 == 2 for id in ids)


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 400, "JSON object"),
        (b"{", 400, "JSON object"),
        (b"[]", 400, "JSON object"),
        (b'"\xff"', 400, "JSON object"),
        (b'{"item": "\xff"}', 422, "item"),
        (b'{"item": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "JSON object"),
        (b"{}", 422, "item: is missing"),
        (b'{"item": {}}', 422, "item: object missing required field `name`"),
        (b'{"item": {"name": "a", "count": "b"}}', 422, "item.count: expected `int`"),
        (
            b'{"item": {"name": "a"}, "fragil": true}',
            422,
            "fragil: there is no such parameter; there are: item, fragile",
        ),
        (b'{"item": {"name": "a", "count": 99999999999999999999999}}', 422, "item"),
    ],
)
async def test_bad_input_is_refused_in_words(
    shop: Shop, web: httpx.AsyncClient, content: bytes, status: int, words: str
) -> None:
    answer = await web.post("/tasks/pack", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in answer.json()["detail"]


async def test_a_body_of_another_type_is_refused(web: httpx.AsyncClient) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        answer = await web.post("/tasks/pack", content=b"{}", headers={"content-type": kind})
        assert answer.status_code == 415 and "Content-Type: application/json" in answer.json()["detail"]


async def test_a_body_is_refused_as_soon_as_it_is_too_large(shop: Shop) -> None:
    read: list[int] = []

    async def endless() -> Any:
        while True:
            read.append(1)
            yield b" " * 1000

    async with shop.client(body_bytes=10_000) as web:
        for content in (b" " * 10_001, endless()):
            answer = await web.post("/tasks/pack", content=content, headers={"content-type": "application/json"})
            assert answer.status_code == 413 and "10,000 bytes" in answer.json()["detail"]
    assert len(read) < 20


async def test_with_the_engine_away_it_says_when_to_come_again(
    shop: Shop, web: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await sent(web)

    async def away(*_: object) -> None:
        raise EngineUnreachable("redis at 10.0.0.7 cannot be reached")

    for verb in ("put", "read", "cancel"):
        monkeypatch.setattr(shop.engine, verb, away)
    answers = [await web.post("/tasks/pack", json=CUP), await web.get(f"/results/{id}")]
    answers += [await web.delete(f"/results/{id}"), await web.get(f"/results/{id}/events")]
    for answer in answers:
        assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
        assert "10.0.0.7" not in answer.text
    assert "Idempotency-Key" in answers[0].text


async def test_a_name_of_any_signs_can_be_sent_to(web: httpx.AsyncClient) -> None:
    assert (await web.post("/tasks/a%20task/with%20a%20odd%20name", json={})).status_code == 202
