"""Every command that README and docs show exists, with the options that they show."""

import importlib.util
import re
import shlex

import click
import pytest

from tests.rules.shell import shown
from tests.rules.tree import PACKAGE, README, ROOT, Block, blocks, pages

needs_readme = pytest.mark.skipif(not README.exists(), reason="README.md is not written yet")

POLYPOOL = shown("polypool")
MAKE = shown("make")


@needs_readme
def test_the_readme_shows_commands_of_polypool() -> None:
    assert [block for block, _ in POLYPOOL if block.page == README], "README.md shows no polypool command"


@needs_readme
def test_the_readme_shows_how_to_see_it_and_how_to_test_it() -> None:
    targets = {word for block, words in MAKE if block.page == README for word in words}
    assert {"demo", "test"} <= targets


@pytest.mark.parametrize(("block", "words"), MAKE, ids=str)
def test_every_make_target_exists(block: Block, words: list[str]) -> None:
    targets = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    assert {word for word in words if "=" not in word} <= targets, f"{block}: make {shlex.join(words)}"


@pytest.mark.parametrize(("block", "words"), POLYPOOL, ids=str)
def test_every_polypool_command_exists_with_its_options(block: Block, words: list[str]) -> None:
    if not (PACKAGE / "cli").exists():
        pytest.skip("src/polypool/cli is not written yet")
    try:
        _parse(_entry_point(), words)
    except click.UsageError as error:
        pytest.fail(f"{block}: polypool {shlex.join(words)}: {error.format_message()}")


def test_a_command_that_does_not_exist_would_be_noticed() -> None:
    root = click.Group("polypool", commands=[click.Command("worker", params=[click.Option(["-Q"])])])
    _parse(root, ["worker", "-Q", "fast"])
    for wrong in (["walker"], ["worker", "--fast"], ["worker", "one-too-many"]):
        with pytest.raises(click.UsageError):
            _parse(root, wrong)


def test_no_page_hides_a_polypool_command_in_a_block_without_a_language() -> None:
    hidden = [str(block) for block in blocks("") if re.search(r"(?m)^(\$ )?polypool [a-z]", block.text)]
    assert hidden == [], f"say ```sh, so that it is checked (looked at {len(pages())} pages)"


def _entry_point() -> click.Command:
    assert importlib.util.find_spec("polypool.cli.main"), "the entry point is polypool.cli.main:main"
    module = importlib.import_module("polypool.cli.main")
    found = [value for value in (module.main, *vars(module).values()) if isinstance(value, click.Group)]
    assert found, "polypool.cli.main holds no click group"
    return found[0]


def _parse(command: click.Command, words: list[str]) -> None:
    """Read words as click would, down to the last sub-command, without converting or running anything."""
    context = click.Context(command, info_name=command.name)
    _, rest, _ = command.make_parser(context).parse_args(args=list(words))
    if not rest:
        return
    if not isinstance(command, click.Group):
        if context.allow_extra_args:
            return
        raise click.UsageError(f"unexpected {shlex.join(rest)}")
    _, child, rest = command.resolve_command(context, rest)
    assert child is not None
    _parse(child, rest)
