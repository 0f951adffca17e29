"""MODULE:APP is looked for without importing it, and every way to get it wrong is answered."""

import sys
from pathlib import Path

import pytest

from polypool.cli.locate import find
from polypool.core.error import ConfigurationError
from tests.unit.cli.conftest import write_module


def refused(target: str, folder: Path) -> str:
    with pytest.raises(ConfigurationError) as refusal:
        find(target, folder)
    return str(refusal.value)


def test_a_module_beside_is_found_and_not_imported(folder: Path) -> None:
    write_module(folder, "explosive", "raise SystemExit('imported')")
    find("explosive:app", folder)
    assert "explosive" not in sys.modules


def test_a_module_in_a_package_is_found_and_the_package_is_not_imported(folder: Path) -> None:
    write_module(folder, "charge.__init__", "raise SystemExit('imported')")
    write_module(folder, "charge.fuse", "raise SystemExit('imported')")
    find("charge.fuse:app", folder)
    assert not {"charge", "charge.fuse"} & set(sys.modules)


def test_a_folder_without_init_is_a_package_too(folder: Path) -> None:
    write_module(folder, "open.space.here", "")
    find("open.space.here:app", folder)


def test_an_installed_module_is_found(folder: Path) -> None:
    find("click.core:app", folder)


def test_a_misspelt_module_is_answered_with_the_nearest_file(folder: Path) -> None:
    write_module(folder, "scan", "")
    assert "did you mean scan?" in refused("scna:app", folder)


def test_a_misspelt_module_in_a_package_is_answered_with_the_nearest_in_it(folder: Path) -> None:
    write_module(folder, "shop.__init__", "")
    write_module(folder, "shop.tasks", "")
    assert "in the package shop; did you mean shop.tasks?" in refused("shop.taks:app", folder)


def test_a_module_that_is_nowhere_is_answered_with_where_to_stand(folder: Path) -> None:
    said = refused("nowhere_at_all:app", folder)
    assert str(folder) in said and "nowhere_at_all.py lies" in said


def test_a_module_taken_for_a_package_is_said_so(folder: Path) -> None:
    write_module(folder, "scan", "")
    assert "scan is a module and no package" in refused("scan.tasks:app", folder)


@pytest.mark.parametrize(
    ("target", "instead"),
    [("scan.py:app", "scan:app"), ("scan.py", "scan:app"), ("./shop/tasks.py:queue", "shop.tasks:queue")],
)
def test_a_file_is_answered_with_the_module_to_write(folder: Path, target: str, instead: str) -> None:
    assert instead in refused(target, folder)


@pytest.mark.parametrize("target", ["", ":app", "my-scan:app", "a..b:app"])
def test_what_can_be_no_module_is_answered_with_how_one_is_written(folder: Path, target: str) -> None:
    assert "write MODULE:APP" in refused(target, folder)
