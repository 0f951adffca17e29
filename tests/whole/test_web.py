"""Web apps as senders: fifty requests at once, each sends a task and waits for it, under every server on every engine.

None is lost, none stops another, and nothing is left behind.
"""

import contextlib
import signal
import socket
from collections.abc import Iterator

import pytest

from polypool.results.watching import PATIENCE
from tests.whole.engines import KINDS, connections
from tests.whole.servers import SERVERS, Site, WebProcess, request, serving, site
from tests.whole.visitors import Answer, ask_all, asking
from tests.whole.workers import until

DRIVERS = {"postgres": "asyncpg", "redis": "redis"}
"""What an engine is reached by. Where another kind of engine is used, none of these is loaded."""


@pytest.fixture(scope="module", params=KINDS)
def place(request: pytest.FixtureRequest) -> Iterator[Site]:
    with site(request.param) as made:
        yield made


def paths(what: str, count: int) -> list[str]:
    return [f"/{what}/{value}" for value in range(count)]


def values(count: int) -> list[Answer]:
    return [(200, str(value)) for value in range(count)]


THREADS_BESIDE = 40
"""How many blocking requests FastAPI runs at the same time."""
CONNECTIONS = 2
"""What a process has to its engine: one to call by, one to be told by."""
FORKING = ("sync", "gthread", "gevent")


@pytest.mark.parametrize("kind", SERVERS)
def test_fifty_requests_at_once_send_and_wait_and_leave_nothing_behind(place: Site, kind: str) -> None:
    server = SERVERS[kind]
    loads_first = kind in FORKING and (KINDS.index(place.kind) + FORKING.index(kind)) % 2
    before = connections(place.url)
    with serving(place, server, *(["--preload"] if loads_first else [])) as web:
        wait_together(web, "held", server.at_once)
        if server.has_threads_beside:
            wait_together(web, "held_in_a_thread", THREADS_BESIDE)
        warm = web.census()
        assert warm["connections"] - before <= CONNECTIONS * server.processes
        for _ in range(9):
            assert ask_all(web.path, paths("echo", 50)) == values(50)
        if server.has_threads_beside:
            send_in_every_other_way(web)
        if kind == "gevent":
            place.gate.unlink()
            assert web.get("/killed/1") == b"1"
            wait_until_none_waits(web)
            place.gate.touch()
        until(lambda: all(web.census()[what] <= warm[what] for what in warm), f"as before: {warm}")
        assert_knows_only_what_it_needs(web)
    until(place.has_run_each_once, "all that was sent ran once")


def wait_together(web: WebProcess, what: str, at_once: int) -> None:
    """As many requests as the server can hold wait at the same time, and its loop goes on turning."""
    web.site.gate.unlink(missing_ok=True)
    if web.server.shares_a_loop and not web.server.is_async:
        web.get("/tick")
    with asking(web.path, paths(what, 50)) as asked:
        until(lambda: len(web.site.running()) == at_once, "all that the server can hold wait together")
        if web.server.shares_a_loop:
            ticks = web.inside()["ticks"]
            until(lambda: web.inside()["ticks"] > ticks + 20, "the loop turns while they wait")
        web.site.gate.touch()
        assert asked.result() == values(50)


def send_in_every_other_way(web: WebProcess) -> None:
    """From threads of a pool, and after the answer."""
    assert ask_all(web.path, paths("threaded", 50)) == values(50)
    before = len(web.site.sent())
    assert ask_all(web.path, paths("afterwards", 10)) == values(10)
    until(lambda: len(web.site.sent()) == before + 20, "what is sent after the answer is sent")


def assert_knows_only_what_it_needs(web: WebProcess) -> None:
    """Any client may run where a worker does not, with its own engine's driver alone."""
    told = web.inside()
    assert told["of_a_worker"] == []
    assert told["waits"] == 0
    if "gevent" not in web.server.command:  # there the thread is one that Python does not list
        assert told["threads"] == 1
    foreign = {driver for kind, driver in DRIVERS.items() if kind not in web.site.needs}
    assert foreign.isdisjoint(told["drivers"])
    assert ("gevent" in told["drivers"]) == ("gevent" in web.server.command)
    assert "eventlet" not in told["drivers"]


# How servers end. Each engine has its turn with one server of a kind.


def test_a_reload_loses_no_task_and_leaves_no_connection_behind(place: Site) -> None:
    server, before = SERVERS[turn(place, FORKING)], connections(place.url)
    with serving(place, server) as web:
        first = served_by(web)
        web.signal(signal.SIGHUP)
        until(lambda: first.isdisjoint(served_by(web)), "a new generation serves")
        until(lambda: connections(place.url) - before <= CONNECTIONS * server.processes, "the old connections are gone")
    until(place.has_run_each_once, "all that was sent ran once")


def test_workers_that_are_replaced_after_so_many_requests_lose_no_task(place: Site) -> None:
    server, before = SERVERS[turn(place, FORKING[::-1])], connections(place.url)
    seen: set[int] = set()
    with serving(place, server, "--max-requests", "30") as web:
        until(lambda: seen.update(served_by(web)) or len(seen) > 3, "three generations")
        until(lambda: connections(place.url) - before <= CONNECTIONS * server.processes, "the old connections are gone")
    until(place.has_run_each_once, "all that was sent ran once")


def test_requests_that_wait_when_the_server_is_told_to_end_are_answered(place: Site) -> None:
    kind = turn(place, ("gthread", "uvicorn", "gevent", "granian"))
    with serving(place, SERVERS[kind]) as web, asking(web.path, paths("held", 20)) as asked:
        until(lambda: len(place.running()) == 20, "twenty wait")
        web.signal(signal.SIGTERM)
        until(lambda: not accepts(web), "it accepts no more")
        place.gate.touch()
        assert asked.result() == values(20)
        web.wait_gone()
    until(place.has_run_each_once, "all that was sent ran once")


@pytest.mark.parametrize("kinds", [("gevent", "sync", "gthread"), ("uvicorn", "asgi", "granian")], ids=["wsgi", "asgi"])
def test_a_server_whose_requests_wait_too_long_ends_all_the_same(place: Site, kinds: tuple[str, ...]) -> None:
    server = SERVERS[turn(place, kinds)]
    count = min(server.at_once, 20)
    with serving(place, server, *server.grace) as web, asking(web.path, paths("held", count)) as asked:
        until(lambda: len(place.running()) == count, "twenty wait")
        web.signal(signal.SIGTERM)
        web.wait_gone()
        assert not any(status == 200 for status, _ in asked.result())
    place.gate.touch()
    until(place.has_run_each_once, "what nobody waits for any more runs to its end")


def test_clients_that_hang_up_leave_no_waiter_behind(place: Site) -> None:
    with serving(place, SERVERS[turn(place, ("asgi", "uvicorn", "granian"))]) as web:
        with contextlib.ExitStack() as hanging_up:
            for path in paths("stream", 20):
                line = hanging_up.enter_context(socket.socket(socket.AF_UNIX))
                line.connect(web.path)
                line.sendall(request(path))
            until(lambda: web.inside()["waits"] == 20, "twenty wait")
        wait_until_none_waits(web)
        place.gate.touch()
    until(place.has_run_each_once, "what nobody waits for any more runs to its end")


def wait_until_none_waits(web: WebProcess) -> None:
    """One ask of a long wait ends by itself after PATIENCE; what was given up must be gone long before."""
    until(lambda: web.inside()["waits"] == 0, "none waits any more", patience=PATIENCE / 2)


def turn(place: Site, kinds: tuple[str, ...]) -> str:
    """The one whose turn it is with this engine."""
    return kinds[KINDS.index(place.kind) % len(kinds)]


def served_by(web: WebProcess) -> set[int]:
    """Who is at work after fifty more requests, of which none was lost."""
    assert ask_all(web.path, paths("echo", 50)) == values(50)
    return {process.pid for process in web.processes()}


def accepts(web: WebProcess) -> bool:
    with socket.socket(socket.AF_UNIX) as line:
        try:
            line.connect(web.path)
        except OSError:
            return False
    return True
