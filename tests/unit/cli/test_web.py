"""What `polypool web` refuses to serve, and why; what it serves is in tests/whole."""

import socket
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Typed, write_module

APP = """
from polypool import Polypool

app = Polypool("desk", broker="sqlite:///desk.db")
bare = Polypool("bare", broker="sqlite:///desk.db")


@app.task(public=True)
def add(a: int, b: int) -> int: ...
"""


@pytest.fixture
def desk(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("POLYPOOL_WEB_TOKENS", raising=False)
    name = f"desk_{folder.name.replace('-', '_')}"
    write_module(folder, name, APP)
    return name


def test_an_app_without_public_tasks_is_refused(polypool: Typed, desk: str) -> None:
    came = polypool("web", f"{desk}:bare", "--port", "0")
    assert came.status == 2
    assert "no task of bare is public" in came.err and "@app.task(public=True)" in came.err


def test_an_address_that_others_reach_needs_a_token_or_a_word(polypool: Typed, desk: str) -> None:
    came = polypool("web", f"{desk}:app", "--port", "0", "--host", "0.0.0.0")
    assert came.status == 2
    assert "POLYPOOL_WEB_TOKENS" in came.err and "--no-token" in came.err


def test_tokens_of_the_environment_are_checked(polypool: Typed, desk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POLYPOOL_WEB_TOKENS", "0123456789abcdef short")
    came = polypool("web", f"{desk}:app", "--port", "0")
    assert came.status == 2
    assert "at least 16" in came.err and "0123456789abcdef" not in came.err


def test_a_port_that_is_taken_is_refused_in_words(polypool: Typed, desk: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        came = polypool("web", f"{desk}:app", "--port", str(taken.getsockname()[1]))
    assert came.status == 2
    assert "cannot listen on 127.0.0.1" in came.err and "--port 0" in came.err


@pytest.mark.parametrize(
    ("option", "value"), [("--rate", "fast"), ("--max-body", "1G"), ("--ping", "0"), ("--grace", "-1")]
)
def test_settings_that_make_no_sense_are_refused(polypool: Typed, desk: str, option: str, value: str) -> None:
    assert polypool("web", f"{desk}:app", "--port", "0", option, value).status == 2
