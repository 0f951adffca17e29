"""Engines by URL."""

from pathlib import Path

import pytest

from polypool.brokers.memory import MemoryEngine
from polypool.brokers.open import has_priorities, open_engine
from polypool.brokers.sqlite.engine import SqliteEngine
from polypool.core.error import ConfigurationError


def test_memory_opens_an_engine_of_its_own_each_time() -> None:
    one, other = open_engine("memory://"), open_engine("memory://")
    assert isinstance(one, MemoryEngine)
    assert one is not other


async def test_three_slashes_name_a_file_beside_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    engine = open_engine("sqlite:///my%20tasks.db")
    monkeypatch.chdir("/")
    await engine.broker.open()
    await engine.broker.close()
    assert (tmp_path / "my tasks.db").is_file()


async def test_four_slashes_name_a_file_from_the_root(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path}/a#b?synchronous=full".replace("#", "%23"))
    assert isinstance(engine, SqliteEngine)
    await engine.broker.open()
    await engine.broker.close()
    assert (tmp_path / "a#b").is_file()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("oracle://localhost", "there are amqp://, "),
        ("tasks.db", "sqlite:///tasks.db"),
        ("", "there are amqp://, "),
        ("memory://shared", "write memory://"),
        ("sqlite://tasks.db", "three slashes"),
        ("sqlite://", "three slashes"),
        ("sqlite:///:memory:", "memory://"),
        ("sqlite:///a.db?sync=full", "there are synchronous, busy_timeout and shared"),
        ("sqlite:///a.db?synchronous=off", "normal or full"),
        ("sqlite:///a.db?busy_timeout=soon", "number of seconds"),
    ],
)
def test_a_url_that_names_no_engine_is_refused_with_what_to_write(url: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        open_engine(url)


@pytest.mark.parametrize(
    ("url", "backend", "says"),
    [
        ("amqp://u:secret@here", None, "name an engine that does"),
        ("amqp://u:secret@here", "amqp://u:secret@there", "RabbitMQ keeps no results"),
        ("amqp://u:secret@here", "oracle://there", "backend 'oracle://there': no engine"),
        ("redis://u:secret@here", "redis://u:secret@there", "leave backend="),
        ("memory://", "sqlite:///r.db", "leave backend="),
        ("amqp://u:secret@here?queue_type=stream", "memory://", "quorum or classic"),
        ("amqp://u:secret@here?prefetch=1", "memory://", "there are prefix, queue_type"),
        ("amqp://u:secret@here?timeout=soon", "memory://", "number of seconds"),
        ("amqp://u:secret@here:x", "memory://", "number from 1 to 65535"),
        ("amqps://u:secret@here?cafile=/nowhere", "memory://", None),
    ],
)
def test_a_backend_stands_beside_a_broker_that_needs_one_and_no_other(url: str, backend: str, says: str | None) -> None:
    if says is None:
        assert open_engine(url, backend=backend).broker.traits.needs_backend
        return
    with pytest.raises(ConfigurationError, match=says) as refused:
        open_engine(url, backend=backend)
    assert "secret" not in str(refused.value)


def test_an_engine_may_name_itself_as_its_backend(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    assert isinstance(open_engine(url, backend=url), SqliteEngine)


@pytest.mark.parametrize(
    ("url", "has"),
    [
        ("redis://here", True),
        ("amqp://here", False),
        ("amqp://here?queue_type=classic", True),
        ("amqps://h?a=b", False),
    ],
)
def test_whether_there_are_priorities_is_known_without_opening(url: str, has: bool) -> None:
    assert has_priorities(url) == has
