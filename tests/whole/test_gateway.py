"""`polypool web` for real: a worker, an engine, watchers whose network is cut, stops in the middle."""

import asyncio
import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.engines.proxy import Proxy
from tests.whole.engines import connections, opened
from tests.whole.gateways import GATEWAY, TOKEN, Told, Web, client, post, serving, watch
from tests.whole.workers import PATIENCE, WorkerProcess, worker

GATE = "gate"
WATCHERS = 300
"""At once; more would need more open files than some machines allow."""


class Site:
    def __init__(self, folder: Path, environment: dict[str, str], worker: WorkerProcess) -> None:
        self.folder, self.environment, self.worker = folder, environment, worker

    def web(self, *options: str) -> contextlib.AbstractContextManager[Web]:
        return serving(self.folder, self.environment, GATEWAY, *options)


@pytest.fixture(params=["sqlite", "redis"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    shutil.copy(str(Path(__file__).with_name("desk.py")), tmp_path)
    with opened(request.param) as environment, worker(tmp_path, "desk:app", **environment) as started:
        yield Site(tmp_path, environment, started)


async def test_a_network_that_is_cut_again_and_again_loses_nothing(site: Site) -> None:
    seen: list[Told] = []
    cuts = 0
    with site.web() as web:
        async with Proxy(web.port) as proxy, client(web.port) as direct:
            id = await post(direct, "count", to=300)
            while not seen or seen[-1][1] != "end":
                # A new line each time: what was open when it was cut is of no use.
                async with client(proxy.port) as far:
                    with contextlib.suppress(httpx.TransportError):
                        before = len(seen)
                        async for event in watch(far, id, seen[-1][0] if seen else ""):
                            seen.append(event)
                            if len(seen) == before + 40:
                                proxy.cut_after(30, is_answer=True)
                cuts = proxy.cuts
    assert cuts >= 3
    assert [data for _, kind, data in seen if kind == "emit"] == list(range(300))
    assert seen[-1][2]["result"] == 300


async def test_a_stop_ends_streams_in_order_and_the_next_server_goes_on(site: Site) -> None:
    with site.web() as web:
        async with client(web.port) as near:
            id = await post(near, "held", value=5)
            stream = watch(near, id, "")
            first = await anext(stream)
            assert first[2] == "begun"
            waiting = asyncio.ensure_future(near.get(f"/results/{id}?wait=30"))
            while web.visitors() < 2:
                await asyncio.sleep(0.02)
            status = asyncio.ensure_future(asyncio.to_thread(web.stop))
            # Without httpx.RemoteProtocolError: the stream came to its end, it was not cut.
            assert [event async for event in stream] == []
            assert (await waiting).json()["status"] == "running"
            assert await status == 0, web.log.read_text()
        assert "Traceback" not in web.log.read_text() and "ERROR" not in web.log.read_text()
    (site.folder / GATE).touch()
    with site.web() as web:
        async with client(web.port) as near:
            events = [event async for event in watch(near, id, first[0])]
    assert [event[1] for event in events] == ["emit", "end"]
    assert events[0][2] == "let go" and events[1][2]["result"] == 5


async def test_any_number_of_watchers_takes_no_more_connections_to_the_engine(site: Site) -> None:
    with site.web() as web:
        async with client(web.port) as near:
            id = await post(near, "held", value=7)
            lines = [await _open(web.port, id)]
            alone = connections(web.engine)
            files = psutil.Process(web.process.pid).num_fds()
            lines += await asyncio.gather(*(_open(web.port, id) for _ in range(WATCHERS - 1)))
            assert connections(web.engine) == alone
            assert psutil.Process(web.process.pid).num_fds() <= files + WATCHERS + 20
            (site.folder / GATE).touch()
            ends = await asyncio.gather(*(asyncio.wait_for(_rest(*line), PATIENCE) for line in lines))
    assert all(b"event: end" in end and b'"result":7' in end for end in ends)


async def test_a_workflow_is_reached_through_the_task_that_returns_it(site: Site) -> None:
    with site.web() as web:
        async with client(web.port) as near:
            answer = await near.post("/tasks/desk.doubled_twice?wait=30", json={"value": 5})
            while answer.json().get("status", "queued") not in ("succeeded", "failed"):
                answer = await near.get(f"/results/{answer.json()['id']}?wait=30")
            assert answer.json()["result"] == 20, answer.text
            inner = await near.get(f"/results/{answer.json()['id']}~")
            assert inner.status_code == 404


async def test_without_a_token_nothing_is_sent(site: Site) -> None:
    with site.web() as web:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{web.port}", timeout=PATIENCE) as stranger:
            assert (await stranger.post("/tasks/desk.count", json={"to": 1})).status_code == 401
            assert (await stranger.get("/docs")).status_code == 200


async def _open(port: int, id: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A watcher that has seen the first event."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    asked = (f"GET /results/{id}/events HTTP/1.1", "Host: web", f"Authorization: Bearer {TOKEN}", "Connection: close")
    writer.write("\r\n".join((*asked, "", "")).encode())
    await asyncio.wait_for(reader.readuntil(b'data: "begun"'), PATIENCE)
    return reader, writer


async def _rest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    rest = await reader.read()
    writer.close()
    return rest
