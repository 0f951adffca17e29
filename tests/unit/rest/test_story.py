"""A task's events as they reach a watcher."""

import httpx
import msgspec
import pytest

from polypool.core.codec import encode
from polypool.core.error import EngineUnreachable
from polypool.core.event import Page
from polypool.core.outcome import Done
from polypool.doors import flask
from polypool.web import stream
from tests.unit.rest.test_answers import sent
from tests.unit.storefront import Shop


async def told(web: httpx.AsyncClient, id: str, after: str | None = None) -> list[tuple[str, str, object]]:
    """(id, event, data) of a stream that has ended."""
    headers = {} if after is None else {"last-event-id": after}
    answer = await web.get(f"/results/{id}/events", headers=headers)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
    blocks = [dict(line.split(": ", 1) for line in one.splitlines()) for one in answer.text.strip().split("\r\n\r\n")]
    assert "retry" in blocks[0]
    return [(one.get("id", ""), one["event"], msgspec.json.decode(one["data"])) for one in blocks[1:] if "event" in one]


async def ended(shop: Shop, web: httpx.AsyncClient) -> str:
    """The id of a task that told three things and ended."""
    id = await sent(web)
    (delivery,) = shop.engine.take()
    shop.engine.tell(delivery, 1, "progress", [1, 2, "half"])
    shop.engine.tell(delivery, 2, "emit", {"word": "line\nand line"})
    shop.engine.tell(delivery, 3, "started", 2)
    shop.engine.end(delivery, Done(encode("packed")))
    return id


async def test_a_stream_tells_all_and_ends_with_the_result(shop: Shop, web: httpx.AsyncClient) -> None:
    id = await ended(shop, web)
    *events, (last, kind, end) = await told(web, id)
    assert events == [
        ("1-1", "progress", {"done": 1, "total": 2, "note": "half"}),
        ("1-2", "emit", {"word": "line\nand line"}),
        ("1-3", "started", {"attempt": 2}),
    ]
    assert (last, kind) == ("end", "end")
    assert isinstance(end, dict) and (end["status"], end["result"]) == ("succeeded", "packed")


async def test_a_watcher_who_comes_again_goes_on_where_it_was(shop: Shop, web: httpx.AsyncClient) -> None:
    id = await ended(shop, web)
    assert [event[0] for event in await told(web, id, "1-2")] == ["1-3", "end"]
    assert [event[0] for event in await told(web, id, "1-3")] == ["end"]
    by_query = await web.get(f"/results/{id}/events?after=1-3")
    assert "1-3" not in by_query.text and "event: end" in by_query.text


async def test_who_has_seen_the_end_is_told_not_to_come_again(shop: Shop, web: httpx.AsyncClient) -> None:
    id = await ended(shop, web)
    assert (await web.get(f"/results/{id}/events", headers={"last-event-id": "end"})).status_code == 204


async def test_what_is_gone_is_said_and_what_is_kept_follows(
    shop: Shop, web: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await ended(shop, web)
    follow = shop.engine.follow

    async def trimmed(id: str, after: str | None, wait: float) -> Page:
        return Page(is_gone=True) if after == "1-1" else await follow(id, "1-2" if after is None else after, wait)

    monkeypatch.setattr(shop.engine, "follow", trimmed)
    gone, *kept = await told(web, id, "1-1")
    assert gone[:2] == ("", "gone")
    assert isinstance(gone[2], dict) and gone[2]["is_over"] is False and gone[2]["after"] == "1-1"
    assert [event[0] for event in kept] == ["1-3", "end"]


async def test_a_task_that_is_forgotten_is_gone(shop: Shop, web: httpx.AsyncClient) -> None:
    answer = await web.get("/results/forgotten/events", headers={"last-event-id": "1-1"})
    assert answer.status_code == 410 and "time to live" in answer.json()["detail"]
    assert (await web.get("/results/forgotten/events")).status_code == 404


async def test_a_task_that_is_forgotten_meanwhile_ends_its_stream(
    shop: Shop, web: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await ended(shop, web)

    async def forgotten(*_: object) -> Page:
        return Page(is_gone=True)

    monkeypatch.setattr(shop.engine, "follow", forgotten)
    (first, last) = await told(web, id, "1-1")
    assert first[1] == last[1] == "gone"
    assert isinstance(last[2], dict) and last[2]["is_over"] is True and last[0] == "end"


@pytest.mark.parametrize("after", ["x", "1", "1-", "-1", "1-2-3", "１-２x"])
async def test_an_id_that_none_of_its_events_had_is_refused(shop: Shop, web: httpx.AsyncClient, after: str) -> None:
    id = await ended(shop, web)
    answer = await web.get(f"/results/{id}/events", params={"after": after})
    assert answer.status_code == 400 and "Last-Event-ID" in answer.json()["detail"]


async def test_a_stream_outlives_its_engines_absence(
    shop: Shop, web: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await ended(shop, web)
    follow, tried = shop.engine.follow, 0

    async def away_twice(id: str, after: str | None, wait: float) -> Page:
        nonlocal tried
        tried += 1
        if tried < 3:
            raise EngineUnreachable("away")
        return await follow(id, after, wait)

    for face in (stream, flask):
        monkeypatch.setattr(face, "AGAIN", 0.001)
    monkeypatch.setattr(shop.engine, "follow", away_twice)
    assert [event[0] for event in await told(web, id)] == ["1-1", "1-2", "1-3", "end"]
    assert tried >= 3
