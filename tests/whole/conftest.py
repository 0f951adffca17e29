"""A folder with the `marks` app in it, and that app loaded as a client would."""

import importlib.util
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.whole.engines import opened


@pytest.fixture(autouse=True, scope="session")
def ctrl_c() -> None:
    """It reaches what tests start. Shells have their jobs in the background ignore it, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of the engine that the app uses: a file beside it, or what a test asks for by `parametrize(indirect)`."""
    with opened(getattr(request, "param", "sqlite")) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield environment["MARKS_BROKER"]


@pytest.fixture
def marks(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module `marks` of this test's own folder, which is also the current one."""
    shutil.copy(Path(__file__).with_name("marks.py"), tmp_path / "marks.py")
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("marks", tmp_path / "marks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "marks", module)
    spec.loader.exec_module(module)
    yield module
    module.app.close()
