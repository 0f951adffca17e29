"""Engines by URL."""

from pathlib import Path

import pytest

from polypool.brokers.memory import MemoryEngine
from polypool.brokers.open import open_engine
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
        ("oracle://localhost", "there are memory://, "),
        ("tasks.db", "sqlite:///tasks.db"),
        ("", "there are memory://, "),
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
