"""The import contracts of pyproject.toml hold, and would notice an import that points up."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rules.tree import PACKAGE, ROOT

UPWARD = {
    "plainly": "from polypool import app",
    "for a type only": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from polypool import app",
    "inside a function": "def later():\n    from polypool import app",
    "through the front door": "import polypool",
    "a greenlet driver": "import gevent",
    "a reload driver": "def later():\n    import watchfiles",
}


def test_every_import_points_down() -> None:
    checked = _check_contracts(ROOT)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("source", UPWARD.values(), ids=UPWARD.keys())
def test_an_import_that_points_up_is_noticed(source: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    package = tmp_path / "src" / "polypool"
    (package / "core").mkdir(parents=True)
    (package / "__init__.py").write_text("from polypool import app\n")
    (package / "app.py").write_text("")
    (package / "core" / "__init__.py").write_text("")
    (package / "core" / "event.py").write_text(f"{source}\n")
    checked = _check_contracts(tmp_path)
    assert checked.returncode == 1, checked.stdout
    assert "polypool.core.event" in checked.stdout


def _check_contracts(root: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    environment = {"PYTHONPATH": str(root / PACKAGE.relative_to(ROOT).parent), "COLUMNS": "200"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
