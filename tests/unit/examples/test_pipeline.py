"""The pipeline and its web API, run in place against the stand-in."""

import io
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from httpx_sse import aconnect_sse
from PIL import Image

from examples.photographs import CATALOGUE, as_taken
from examples.provider.app import Account, create_app
from examples.provider.limits import Limits
from examples.scan import api
from examples.scan import app as tasks
from examples.scan.app import Scan, app, character_cache, scan, shrink
from examples.scan.model import Seen, tokens_to_name, tokens_to_say
from examples.scan.page import SAMPLES
from examples.scan.rules import find_rules
from examples.scan.stages import STAGES
from polypool.testing import captured, run_in_place
from tests.unit.examples.serving import served

COFFEE = CATALOGUE[0]


@pytest.fixture
def account() -> Account:
    return Account(Limits(10_000, 10**9, 2000, time.monotonic()), scale=2000)


@pytest.fixture
async def provider(account: Account, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    async with served(create_app(account)) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{url}/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "none-needed")
        yield url


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("examples.scan.app.FOLDER", tmp_path)
    monkeypatch.setattr("examples.scan.api.FOLDER", tmp_path)
    character_cache.cache_clear()
    return tmp_path


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(api.create_app())
    async with httpx.AsyncClient(transport=transport, base_url="http://scan") as client:
        yield client


async def test_a_photo_is_named_answered_from_the_rules_and_rewarded(provider: str, folder: Path) -> None:
    photo = folder / "photo.jpg"
    photo.write_bytes(as_taken(COFFEE, seed=1))
    async with run_in_place(app) as place:
        told = await (await scan(str(photo)).adelay())
    assert isinstance(told, Scan)
    assert (told.item, told.material) == (COFFEE.item, COFFEE.material)
    assert told.rules[0].startswith("ceramics-")
    assert "crockery" in told.answer.lower()
    assert {sent.task.rpartition(".")[2]: sent.pool for sent in place.sent} == STAGES


async def test_what_a_request_reserves_is_what_the_provider_sets_aside_for_it(
    provider: str, account: Account, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_aside: list[int] = []
    settle = account.limits.settle

    def noted(asked: int, used: int, now: float) -> None:
        set_aside.append(asked)
        assert 0 < used < asked
        settle(asked, used, now)

    monkeypatch.setattr(account.limits, "settle", noted)
    photo = folder / "photo.jpg"
    photo.write_bytes(as_taken(COFFEE, seed=1))
    async with run_in_place(app):
        told = await (await scan(str(photo)).adelay())
    seen = Seen(told.item, told.material, confidence=1)
    assert set_aside == [tokens_to_name(), tokens_to_say(seen, find_rules(f"{told.item} {told.material}"))]


async def test_a_user_sees_each_stage_then_the_words_then_the_end(provider: str, client: httpx.AsyncClient) -> None:
    async with run_in_place(app):
        sent = await client.post("/scans", content=as_taken(COFFEE, seed=2), headers={"content-type": "image/jpeg"})
        assert sent.status_code == 202
        async with aconnect_sse(client, "GET", sent.json()["events"]) as source:
            events = [(event.event, json.loads(event.data)) async for event in source.aiter_sse()]
        story = (await client.get(sent.json()["result"])).json()
    assert [data["note"] for kind, data in events if kind == "progress"] == [*STAGES]
    assert events[-1][0] == "end"
    assert story["status"] == "succeeded"
    assert story["result"] == events[-1][1]["result"]
    assert "".join(data for kind, data in events if kind == "word") == story["result"]["answer"]


async def test_a_user_who_was_cut_off_goes_on_where_the_story_broke(provider: str, client: httpx.AsyncClient) -> None:
    async with run_in_place(app):
        sent = await client.post("/scans", content=as_taken(COFFEE, seed=3), headers={"content-type": "image/jpeg"})
        story = await told_after(client, sent.json()["events"], None)
        for place, (last, _, _) in enumerate(story[:-1]):
            assert await told_after(client, sent.json()["events"], last) == story[place + 1 :]


async def test_a_page_that_comes_again_by_itself_says_so_in_the_address(
    provider: str, client: httpx.AsyncClient
) -> None:
    async with run_in_place(app):
        sent = await client.post("/scans", content=as_taken(COFFEE, seed=4), headers={"content-type": "image/jpeg"})
        events = sent.json()["events"]
        story = await told_after(client, events, None)
        middle = len(story) // 2
        last = story[middle][0]
        assert await told_after(client, f"{events}?after={last}", None) == story[middle + 1 :]
        # A browser that comes again by itself does so with the old address, and says what it saw since.
        assert await told_after(client, f"{events}?after={story[0][0]}", last) == story[middle + 1 :]
        refused = await client.get(f"{events}?after=yesterday")
    assert refused.status_code == 400


async def test_words_of_a_further_attempt_are_announced(
    provider: str, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    say_how, attempts = tasks.say_how, 0

    async def break_off_once(*asked: Any) -> AsyncIterator[str]:
        nonlocal attempts
        attempts += 1
        async for word in say_how(*asked):
            yield word
            if attempts == 1:
                raise openai.APIConnectionError(request=httpx.Request("POST", "http://provider"))

    monkeypatch.setattr(tasks, "say_how", break_off_once)
    async with run_in_place(app) as place:
        sent = await client.post("/scans", content=as_taken(COFFEE, seed=5), headers={"content-type": "image/jpeg"})
        await place.aadvance(60)
        story = await told_after(client, sent.json()["events"], None)
    kinds = [kind for _, kind, _ in story if kind in ("word", "again")]
    assert kinds[:2] == ["word", "again"]
    words = [json.loads(data) for _, kind, data in story if kind == "word"][1:]
    assert "".join(words) == json.loads(story[-1][2])["result"]["answer"]


async def test_each_stage_tells_how_it_stands_and_why_it_failed(provider: str, client: httpx.AsyncClient) -> None:
    async with run_in_place(app):
        sent = await client.post("/scans", content=b"no photo", headers={"content-type": "image/jpeg"})
        await told_after(client, sent.json()["events"], None)
        stages = (await client.get(f"{sent.json()['result']}/stages")).json()["stages"]
    assert [(stage["stage"], stage["pool"]) for stage in stages] == [*STAGES.items()]
    assert [stage["state"] for stage in stages] == ["failed"] + ["not run"] * 4
    assert "no picture that can be read" in stages[0]["error"]


async def test_the_page_needs_nothing_from_elsewhere_and_its_samples_are_photographs(
    client: httpx.AsyncClient,
) -> None:
    page = await client.get("/")
    assert "http" not in page.text.replace("http-equiv", "")
    assert f"LARGEST = {api.PHOTO_BYTES:_};" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for sample in SAMPLES:
        assert f'data-sample="{sample}"' in page.text
    photograph = await client.get(f"/samples/{SAMPLES[0]}")
    assert Image.open(io.BytesIO(photograph.content)).format == "JPEG"
    assert (await client.get("/samples/none")).status_code == 404


async def told_after(client: httpx.AsyncClient, path: str, last: str | None) -> list[tuple[str, str, str]]:
    """Ids, kinds and data of the events after one."""
    headers = {} if last is None else {"last-event-id": last}
    async with aconnect_sse(client, "GET", path, headers=headers) as source:
        return [(event.id, event.event, event.data) async for event in source.aiter_sse()]


async def test_a_form_is_as_good_as_a_body(client: httpx.AsyncClient, folder: Path) -> None:
    with captured(app) as sent:
        answered = await client.post("/scans", files={"photo": ("bottle.jpg", b"a photo", "image/jpeg")})
    assert answered.status_code == 202
    assert Path(sent.of(shrink)[0].args[0]).read_bytes() == b"a photo"


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"content-type": "text/plain"}, 415), ({"content-type": "image/jpeg", "content-length": "99000000"}, 413)],
    ids=["no photo", "too large"],
)
async def test_what_is_no_photo_is_refused(client: httpx.AsyncClient, headers: dict[str, str], status: int) -> None:
    with captured(app) as sent:
        assert (await client.post("/scans", content=b"?", headers=headers)).status_code == status
    assert list(sent) == []


async def test_a_scan_that_nobody_sent_is_not_found(client: httpx.AsyncClient) -> None:
    with captured(app):
        for path in ("/scans/nobody", "/scans/nobody/events", "/scans/nobody/stages"):
            assert (await client.get(path)).status_code == 404
