"""A folder with the `marks` app in it, and that app loaded as a client would."""

import importlib.util
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module `marks` of this test's own folder, which is also the current one."""
    shutil.copy(Path(__file__).with_name("marks.py"), tmp_path / "marks.py")
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location("marks", tmp_path / "marks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "marks", module)
    spec.loader.exec_module(module)
    yield module
