"""`polypool.__all__` is the truth about what polypool offers."""

import importlib.util
import subprocess
import sys
import types

import pytest

from tests.rules.tree import PACKAGE, syntax

if not (PACKAGE / "app.py").exists():
    pytest.skip("src/polypool/app.py is not written yet", allow_module_level=True)

import polypool

NEVER_LOADED_WITH_POLYPOOL = {"click", "eventlet", "gevent", "rich", "watchfiles"}


def test_every_promised_name_can_be_imported() -> None:
    assert polypool.__all__
    missing = [name for name in polypool.__all__ if not hasattr(polypool, name)]
    assert missing == []


def test_nothing_is_public_that_is_not_promised() -> None:
    public = {name for name in vars(polypool) if not name.startswith("_") and not _is_submodule(name)}
    assert public - set(polypool.__all__) == set()


def test_promised_names_are_sorted_and_said_once() -> None:
    assert list(polypool.__all__) == sorted(set(polypool.__all__), key=_ruff_order)


def test_the_front_door_holds_names_and_nothing_else() -> None:
    allowed = ("Expr", "Import", "ImportFrom", "Assign", "AnnAssign")
    kinds = {type(statement).__name__ for statement in syntax(PACKAGE / "__init__.py").body}
    assert kinds <= set(allowed)


def test_importing_polypool_loads_no_driver_and_no_face() -> None:
    script = "import sys, polypool; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert "polypool" in loaded.stdout.split()
    assert set(loaded.stdout.split()) & NEVER_LOADED_WITH_POLYPOOL == set()


def test_type_checkers_are_told_that_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()


def _is_submodule(name: str) -> bool:
    is_module = isinstance(getattr(polypool, name), types.ModuleType)
    return is_module and importlib.util.find_spec(f"polypool.{name}") is not None


def _ruff_order(name: str) -> tuple[int, str]:
    """CONSTANTS, Classes, functions: the order `ruff format` keeps (RUF022)."""
    rank = 0 if name.isupper() and len(name) > 1 else 1 if name[0].isupper() else 2
    return rank, name
