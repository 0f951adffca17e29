"""Names of tasks: sender and worker agree, however the sender was started."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from polypool.core.error import ConfigurationError
from polypool.naming import is_same_place, task_name

SCRIPT = """
from polypool import Polypool
app = Polypool("x", broker="memory://")
@app.task
def work() -> None: ...
if __name__ == "__main__":
    print(work.name)
"""


def named(folder: Path, *command: str) -> str:
    ran = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=True)
    return ran.stdout.strip()


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "scan.py").write_text(SCRIPT)
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "scan.py").write_text(SCRIPT)
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose" / "scan.py").write_text(SCRIPT)
    return tmp_path


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (("scan.py",), "scan.work"),
        (("-m", "scan"), "scan.work"),
        (("-m", "shop.scan"), "shop.scan.work"),
        (("shop/scan.py",), "shop.scan.work"),
        (("loose/scan.py",), "scan.work"),
        (("-c", "import shop.scan; print(shop.scan.work.name)"), "shop.scan.work"),
    ],
)
def test_a_module_that_is_run_names_its_tasks_as_one_that_is_imported(
    shop: Path, command: tuple[str, ...], name: str
) -> None:
    assert named(shop, *command) == name


def test_a_function_is_named_by_its_module_and_qualified_name() -> None:
    def inner() -> None: ...

    assert task_name(inner).endswith(
        "test_naming.test_a_function_is_named_by_its_module_and_qualified_name.<locals>.inner"
    )


@pytest.mark.parametrize("nameless", [lambda: None, partial(print)])
def test_a_function_without_a_name_needs_one_from_its_decorator(nameless: object) -> None:
    with pytest.raises(ConfigurationError, match=r'@app\.task\(name="…"\)'):
        task_name(nameless)  # type: ignore[arg-type]


def test_a_module_loaded_again_is_the_same_place_and_two_functions_are_not() -> None:
    source = "def f(): pass\n\n\ndef g(): pass\n"
    first: dict[str, object] = {}
    again: dict[str, object] = {}
    exec(compile(source, "shop.py", "exec"), first)
    exec(compile(source, "shop.py", "exec"), again)
    assert is_same_place(first["f"], again["f"])  # type: ignore[arg-type]
    assert not is_same_place(first["f"], first["g"])  # type: ignore[arg-type]


def test_what_was_typed_into_a_session_may_be_typed_again() -> None:
    cells: list[dict[str, object]] = [{}, {}]
    for number, cell in enumerate(cells):
        exec(compile("\n" * number + "def f(): pass", f"<cell {number}>", "exec"), cell)
    assert is_same_place(cells[0]["f"], cells[1]["f"])  # type: ignore[arg-type]
