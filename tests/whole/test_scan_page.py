"""The scan example's page in a real Chromium: what people see, also when the network breaks and the page is loaded
again. The provider says a word only when the test lets it, so nothing here depends on how fast anything is."""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, async_playwright, expect

from examples.photographs import CATALOGUE, as_taken
from examples.provider import app as provider
from examples.provider.limits import Limits
from examples.scan.page import SAMPLES
from examples.scan.processes import Crew, address_of
from examples.scan.stages import STAGES
from tests.engines import chromium
from tests.engines.proxy import Proxy
from tests.unit.examples.serving import served

PATIENCE_MS = 60_000
COFFEE = CATALOGUE[0]
POOLS = ("--pool", "asyncio=10", "--pool", "threads=2", "--pool", "prefork=1")
ALL = 10_000
NOTE_WHAT_IS_SHOWN = """
    window.shown = [];
    addEventListener("DOMContentLoaded", () => new MutationObserver(() => {
        const text = document.getElementById("answer").textContent;
        if (text && document.getElementById("answer").ariaBusy === "true") window.shown.push(text);
    }).observe(document.getElementById("answer"), { childList: true }));
"""
SEND_A_LARGE_ONE = """
    const files = new DataTransfer(), input = document.getElementById("file");
    files.items.add(new File([new Uint8Array(20_000_001)], "large.jpg", { type: "image/jpeg" }));
    input.files = files.files;
    input.dispatchEvent(new Event("change"));
"""

expect.set_options(timeout=PATIENCE_MS)


class Words:
    """What the provider has to say, and how much of it the test lets it say."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pieces: list[str] = []
        self._allowed = asyncio.Semaphore(0)
        in_pieces = provider.in_pieces

        def noted(answer: str) -> list[str]:
            self.pieces = list(in_pieces(answer))
            return self.pieces

        async def until(_: float) -> None:
            await self._allowed.acquire()

        monkeypatch.setattr(provider, "in_pieces", noted)
        monkeypatch.setattr(provider, "until", until)

    def let(self, count: int) -> None:
        """So many more pauses of the provider are over: one before it names a photo, one before each word."""
        for _ in range(count):
            self._allowed.release()

    def first(self, count: int) -> str:
        return "".join(self.pieces[:count])


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> Words:
    return Words(monkeypatch)


@pytest.fixture
async def network(words: Words) -> AsyncIterator[Proxy]:
    """The way from the browser to the API; worker and API are processes of their own behind it."""
    account = provider.Account(Limits(10_000, 10**9, 1, time.monotonic()), scale=1)
    # A short path: the names of Unix sockets may have 100 characters or so.
    with tempfile.TemporaryDirectory(prefix="scan-") as name:
        folder = Path(name)
        settings = {"SCAN_DIR": name, "POLYPOOL_BROKER": f"sqlite:///{folder / 'scan.db'}", "SCAN_RPM": "10000"}
        async with served(provider.create_app(account)) as url, Crew(folder, settings) as crew:
            crew.environment |= {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "none-needed"}
            api = await crew.start("API", sys.executable, "-m", "examples.scan.api", "--port", "0")
            polypool = str(Path(sys.executable).with_name("polypool"))
            await crew.start("worker", polypool, "worker", "examples.scan.app:app", "--grace", "1", *POOLS)
            port = int((await address_of(api)).rpartition(":")[2])
            async with Proxy(port) as network:
                yield network


@pytest.fixture
async def page(network: Proxy) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium.program(), args=chromium.arguments())
        page = await browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        await page.add_init_script(NOTE_WHAT_IS_SHOWN)
        raised: list[str] = []
        page.on("pageerror", lambda error: raised.append(str(error)))
        await page.goto(f"http://127.0.0.1:{network.port}/")
        yield page
        await browser.close()
        assert raised == []


async def send(page: Page, photo: bytes, kind: str = "image/jpeg") -> None:
    await page.set_input_files("#file", {"name": "photo.jpg", "mimeType": kind, "buffer": photo})


async def in_state(page: Page, stage: str, state: str) -> None:
    await expect(page.locator(f"[data-stage={stage}]")).to_have_attribute("data-state", state)


async def tells(page: Page, text: str) -> None:
    """Exactly this, and on the way there never anything but its beginnings, each longer than the one before."""
    await page.wait_for_function("text => document.getElementById('answer').textContent === text", arg=text)
    shown: list[str] = await page.evaluate("shown.splice(0)")
    assert all(text.startswith(one) for one in shown)
    assert shown == sorted(set(shown), key=len)


async def cut_off(page: Page, network: Proxy) -> None:
    """Until the page has come again in vain, a few times."""
    before, network.is_away = network.sent_off, True
    network.cut()
    await expect(page.locator("#notice")).to_contain_text("connection is lost")
    while network.sent_off < before + 2:
        await asyncio.sleep(0.05)


async def test_stages_and_words_arrive_once_and_in_order_through_a_broken_network_and_a_reload(
    page: Page, network: Proxy, words: Words
) -> None:
    await send(page, as_taken(COFFEE, seed=1))
    await in_state(page, "shrink", "succeeded")
    await in_state(page, "vision", "running")
    await in_state(page, "rule", "to come")

    words.let(1 + 5)
    await in_state(page, "answer", "running")
    await tells(page, words.first(5))

    await cut_off(page, network)
    words.let(5)  # said while nobody hears it
    network.is_away = False
    await tells(page, words.first(10))
    await expect(page.locator("#notice")).to_be_hidden()

    await page.reload()
    await tells(page, words.first(10))
    await in_state(page, "answer", "running")

    words.let(3)
    await tells(page, words.first(13))
    await cut_off(page, network)
    words.let(len(words.pieces) - 13 - 1)
    network.is_away = False
    await tells(page, words.first(len(words.pieces) - 1))

    await cut_off(page, network)
    words.let(1)  # and so the end comes while the page is cut off
    network.is_away = False
    await expect(page.locator("#notice")).to_have_text(f"Done: {COFFEE.item}.")
    await expect(page.locator("#answer")).to_have_text("".join(words.pieces))
    await expect(page.locator("#character")).to_be_visible()
    for stage in STAGES:
        await in_state(page, stage, "succeeded")


async def test_what_goes_wrong_is_said_in_words_and_the_next_photo_is_answered(page: Page, words: Words) -> None:
    notice = page.locator("#notice")
    await send(page, b"Dear Sir,", kind="text/plain")
    await expect(notice).to_contain_text("not a picture")
    await page.evaluate(SEND_A_LARGE_ONE)
    await expect(notice).to_contain_text("20 MB is the most")

    await send(page, b"no picture in truth")
    await expect(notice).to_contain_text("could not be answered")
    await expect(page.locator("[data-stage=shrink]")).to_contain_text("no picture that can be read")
    await in_state(page, "vision", "not run")

    refused = 0

    async def refuse(route: Route) -> None:
        nonlocal refused
        refused += 1
        await route.fulfill(status=503, body="not now")

    await page.route(
        "**/events?*", refuse, times=2
    )  # a browser does not come again after such an answer: the page must
    words.let(ALL)
    await page.locator(f"[data-sample={SAMPLES[0]}]").click()
    await expect(notice).to_have_text(f"Done: {COFFEE.item}.")
    await expect(page.locator("#answer")).to_have_text("".join(words.pieces))
    assert refused == 2
    await expect(page.locator("#earlier")).to_contain_text(COFFEE.item)

    await page.evaluate("location.hash = 'nobody'")
    await expect(notice).to_contain_text("not known")
