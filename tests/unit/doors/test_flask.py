"""Public tasks in a Flask app, and tasks in a Flask app's context. What is answered: tests/unit/rest."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, Response, current_app, g, request

from polypool import Polypool, TaskFailed
from polypool.core.codec import encode
from polypool.core.error import ConfigurationError, UnknownOption
from polypool.core.outcome import Done
from polypool.doors.flask import blueprint, in_app_context
from polypool.testing import run_in_place
from tests.unit.storefront import Shop

CUP = {"item": {"name": "cup"}}


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop("flask")
    yield shop
    shop.app.close()


def mounted(shop: Shop, **options: Any) -> Flask:
    mine = Flask("mine")
    mine.register_blueprint(blueprint(shop.app, **options), url_prefix="/jobs")
    return mine


def test_addresses_are_told_with_the_prefix(shop: Shop) -> None:
    web = mounted(shop).test_client()
    answer = web.post("/jobs/tasks/pack", json=CUP)
    assert answer.location == f"/jobs/results/{answer.json['id']}"
    assert web.get(answer.location).json["status"] == "queued"
    assert web.get("/jobs/openapi.json").json["servers"] == [{"url": "/jobs"}]
    behind = web.post("/jobs/tasks/pack", json=CUP, base_url="http://web/shop")
    assert behind.location.startswith("/shop/jobs/results/")


def test_a_prefix_may_have_a_part_that_varies(shop: Shop) -> None:
    mine = Flask("mine")
    mine.register_blueprint(blueprint(shop.app), url_prefix="/of/<tenant>")
    web = mine.test_client()
    answer = web.post("/of/anna/tasks/pack", json=CUP)
    assert answer.location.startswith("/of/anna/results/")
    assert web.get(answer.location).status_code == web.get("/of/anna/docs").status_code == 200


def test_the_apps_own_guard_stands_in_front(shop: Shop) -> None:
    mine = mounted(shop)

    @mine.before_request
    def known() -> Response | None:
        return None if request.headers.get("user") == "anna" else Response("who are you?", 403)

    web = mine.test_client()
    assert web.post("/jobs/tasks/pack", json=CUP).status_code == 403
    assert not hasattr(shop.engine, "times_opened")
    assert web.post("/jobs/tasks/pack", json=CUP, headers={"user": "anna"}).status_code == 202


def test_a_body_that_was_read_in_front_is_still_there(shop: Shop) -> None:
    mine = mounted(shop)
    mine.before_request(lambda: len(request.get_data()) and None)
    assert mine.test_client().post("/jobs/tasks/pack", json=CUP).status_code == 202


def test_other_sites_may_not_call_it_unless_they_are_named(shop: Shop) -> None:
    asked = {"origin": "https://mine.example", "access-control-request-method": "POST"}
    closed = mounted(shop).test_client()
    assert "access-control-allow-origin" not in closed.options("/jobs/tasks/pack", headers=asked).headers
    web = mounted(shop, origins=("https://mine.example",)).test_client()
    allowed = web.options("/jobs/tasks/pack", headers=asked)
    assert allowed.headers["access-control-allow-origin"] == "https://mine.example"
    assert "idempotency-key" in allowed.headers["access-control-allow-headers"]
    other = web.options("/jobs/tasks/pack", headers={**asked, "origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers and other.headers["vary"] == "Origin"
    refused = web.post("/jobs/tasks/pack", json={}, headers={"origin": "https://mine.example"})
    assert refused.status_code == 422 and refused.headers["access-control-allow-origin"] == "https://mine.example"
    assert "location" in refused.headers["access-control-expose-headers"]


def test_in_silence_a_stream_shows_that_it_lives(shop: Shop) -> None:
    web = mounted(shop, ping=0.001).test_client()
    id = web.post("/jobs/tasks/pack", json=CUP).json["id"]
    (delivery,) = shop.engine.take()
    told = web.get(f"/jobs/results/{id}/events").iter_encoded()
    assert next(told).startswith(b": task")
    assert [next(told) for _ in range(3)] == [b": ping\r\n\r\n"] * 3
    shop.engine.tell(delivery, 1, "emit", "word")
    shop.engine.end(delivery, Done(encode("packed")))
    rest = [line for line in told if not line.startswith(b":")]
    assert rest[0] == b'id: 1-1\r\nevent: emit\r\ndata: "word"\r\n\r\n'
    assert rest[-1].startswith(b"id: end\r\nevent: end\r\n") and len(rest) == 2


def test_a_stream_lasts_as_long_as_it_may_and_its_watcher_goes_on(shop: Shop) -> None:
    web = mounted(shop, longest_stream=0.05).test_client()
    id = web.post("/jobs/tasks/pack", json=CUP).json["id"]
    (delivery,) = shop.engine.take()
    shop.engine.tell(delivery, 1, "emit", "first")
    first = web.get(f"/jobs/results/{id}/events").data
    assert b"id: 1-1" in first and b"event: end" not in first
    shop.engine.end(delivery, Done(encode("packed")))
    rest = web.get(f"/jobs/results/{id}/events", headers={"last-event-id": "1-1"}).data
    assert b"id: 1-1" not in rest and b"event: end" in rest


@pytest.mark.parametrize("seconds", [0, -1, "20", float("nan"), True])
def test_a_longest_stream_that_is_no_span_is_refused(shop: Shop, seconds: Any) -> None:
    with pytest.raises(ConfigurationError, match="longest_stream"):
        blueprint(shop.app, longest_stream=seconds)


def test_what_only_asgi_servers_have_is_refused(shop: Shop) -> None:
    with pytest.raises(UnknownOption, match="longest_stream"):
        blueprint(shop.app, grace=5)


def test_two_apps_may_stand_side_by_side(shop: Shop) -> None:
    mine = mounted(shop)
    mine.register_blueprint(blueprint(shop.app, name="others"), url_prefix="/others")
    assert mine.test_client().post("/others/tasks/pack", json=CUP).location.startswith("/others/results/")


@pytest.mark.parametrize("is_called", [False, True], ids=["the app", "a function that returns it"])
@pytest.mark.parametrize("pool", ["threads", "asyncio"])
def test_tasks_run_in_the_flask_apps_context(pool: Any, is_called: bool) -> None:
    web, torn_down = Flask("mine"), []
    web.config["GREETING"] = "hello"
    web.teardown_appcontext(lambda error: torn_down.append((g.user, error)))
    app = Polypool("shop", broker="memory://", middleware=[in_app_context((lambda: web) if is_called else web)])

    def greet(user: str) -> str:
        assert "user" not in g
        g.user = user
        if user == "nobody":
            raise ValueError(user)
        return f"{current_app.config['GREETING']} {user}"

    async def agreet(user: str) -> str:
        return greet(user)

    task = app.task(agreet if pool == "asyncio" else greet)
    with run_in_place(app):
        assert task.delay("anna").get() == "hello anna"
        with pytest.raises(TaskFailed):
            task.delay("nobody").get()
    assert [(user, type(error)) for user, error in torn_down] == [("anna", type(None)), ("nobody", ValueError)]


@pytest.mark.parametrize("library", ["flask", "werkzeug"])
def test_without_its_library_it_says_what_to_install(library: str) -> None:
    script = f"import sys; sys.modules['{library}'] = None; import polypool.doors.flask"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "MissingExtra" in ended.stderr and "pip install polypool[flask]" in ended.stderr


def test_it_needs_none_of_the_gateways_libraries() -> None:
    script = "import sys; sys.modules |= dict.fromkeys(('starlette', 'sse_starlette', 'uvicorn', 'fastapi'))\n"
    script += "import polypool.doors.flask"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
