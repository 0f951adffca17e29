"""Public tasks in apps of Flask and FastAPI for real: servers are stopped, killed and started again under watchers."""

import asyncio
import contextlib
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.whole.engines import opened
from tests.whole.gateways import Command, Told, Web, client, post, serving, watch
from tests.whole.workers import PATIENCE, worker

LISTENS = r"Listening at: http://127\.0\.0\.1:(\d+)"
GUNICORN = ("gunicorn", "--bind", "127.0.0.1:0", "flask_door:web", "-k")
SERVERS = {
    "gthread": Command((*GUNICORN, "gthread", "--threads", "20"), LISTENS),
    "gevent": Command((*GUNICORN, "gevent"), LISTENS),
    "uvicorn": Command(("uvicorn", "fastapi_door:web", "--port", "0"), r"running on http://127\.0\.0\.1:(\d+)"),
}
ENGINES = {"gthread": "sqlite", "gevent": "redis", "uvicorn": "sqlite"}
WATCHERS = 8
"""Fewer than a server's threads: each takes one."""


@dataclass
class Site:
    folder: Path
    environment: dict[str, str]
    command: Command

    def web(self) -> contextlib.AbstractContextManager[Web]:
        return serving(self.folder, self.environment, self.command)


@pytest.fixture(params=SERVERS)
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    here = Path(__file__).parent
    for source in (here / "desk.py", here / "web" / "flask_door.py", here / "web" / "fastapi_door.py"):
        shutil.copy(source, tmp_path)
    with opened(ENGINES[request.param]) as environment, worker(tmp_path, "desk:app", **environment):
        yield Site(tmp_path, environment, SERVERS[request.param])


async def test_watchers_of_a_server_that_is_killed_miss_nothing_from_the_next(site: Site) -> None:
    seen: list[Told] = []
    with site.web() as web:
        async with client(web.port) as near:
            id = await post(near, "count", to=300)
            with contextlib.suppress(httpx.TransportError):
                async for event in watch(near, id, ""):
                    seen.append(event)
                    if len(seen) == 40:
                        web.kill()
        assert seen[-1][1] == "emit"
    with site.web() as web:
        async with client(web.port) as near:
            seen += [event async for event in watch(near, id, seen[-1][0])]
            assert (await near.get(f"/results/{id}")).json()["result"] == 300
    assert [data for _, kind, data in seen if kind == "emit"] == list(range(300))
    assert seen[-1][1] == "end"


async def test_many_watch_and_wait_while_others_are_answered_and_a_stop_ends_all_in_order(site: Site) -> None:
    site.environment["LONGEST_STREAM"] = "3"  # uvicorn's streams hear of a stop, a WSGI server's cannot
    with site.web() as web:
        async with client(web.port) as near:
            id = await post(near, "held", value=5)
            streams = [watch(near, id, "") for _ in range(WATCHERS)]
            begun = await asyncio.wait_for(asyncio.gather(*(anext(stream) for stream in streams)), PATIENCE)
            assert {event[2] for event in begun} == {"begun"}
            waiting = asyncio.ensure_future(near.get(f"/results/{id}?wait=1"))
            assert (await near.get(f"/results/{id}")).json()["status"] == "running"
            assert (await waiting).json()["status"] == "running"
            stopped = asyncio.ensure_future(asyncio.to_thread(web.stop))
            # Without httpx.RemoteProtocolError: each stream came to its end, none was cut.
            rests = await asyncio.gather(*(_rest_of(stream) for stream in streams))
            assert rests == [[]] * WATCHERS
        assert await stopped in (0, -signal.SIGTERM), web.log.read_text()
        assert "Traceback" not in web.log.read_text()
    (site.folder / "gate").touch()
    with site.web() as web:
        async with client(web.port) as near:
            events = [event async for event in watch(near, id, begun[0][0])]
    assert [(event[1], event[2]) for event in events[:1]] == [("emit", "let go")]
    assert events[-1][2]["result"] == 5 and len(events) == 2


async def _rest_of(stream: AsyncIterator[Told]) -> list[Told]:
    return [event async for event in stream]
