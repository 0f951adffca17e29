"""A command typed, and what came of it; an engine to look at that is not on disk."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from polypool.brokers.memory import MemoryEngine
from polypool.cli.main import main


class Came(NamedTuple):
    """What a command came to."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)


Typed = Callable[..., Came]


@pytest.fixture
def polypool(capsys: pytest.CaptureFixture[str]) -> Typed:
    """Type a command: `polypool("status", "--json")`."""

    def typed(*words: str) -> Came:
        with pytest.raises(SystemExit) as ended:
            main(words)
        out, err = capsys.readouterr()
        code = ended.value.code
        assert code is None or isinstance(code, int), code
        return Came(code or 0, out, err)

    return typed


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every command is typed in an empty folder, and no setting of this machine leaks in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delenv("POLYPOOL_BROKER", raising=False)
    return tmp_path


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> MemoryEngine:
    """What `--broker seen://` opens."""
    made = MemoryEngine()
    opened: list[str] = []

    def open_engine(url: str, backend: str | None = None) -> MemoryEngine:
        opened.append(url)
        assert url == "seen://", url
        return made

    monkeypatch.setattr("polypool.brokers.open.open_engine", open_engine)
    monkeypatch.setenv("POLYPOOL_BROKER", "seen://")
    return made


def write_module(folder: Path, name: str, *lines: str) -> None:
    path = folder.joinpath(*name.split(".")).with_suffix(".py")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
