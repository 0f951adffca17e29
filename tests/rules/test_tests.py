"""Tests are sentences, and they wait for something rather than for a while."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rules.tree import ROOT, short, sources, syntax

TEST_FILES = [path for path in sources(ROOT / "tests") if path.name.startswith("test_")]

Function = ast.FunctionDef | ast.AsyncFunctionDef


def test_there_are_tests_to_look_at() -> None:
    assert Path(__file__).resolve() in TEST_FILES


@pytest.mark.parametrize("path", TEST_FILES, ids=short)
def test_every_test_is_named_as_a_sentence(path: Path) -> None:
    names = [test.name for test in _tests(syntax(path))]
    assert [name for name in names if len(name.split("_")) < 4] == []


@pytest.mark.parametrize("path", TEST_FILES, ids=short)
def test_no_test_sleeps_for_a_while_and_hopes(path: Path) -> None:
    """A sleep inside a loop that waits for a condition is fine, and so is one in a task under test."""
    sleeps = [f"line {call.lineno}" for test in _tests(syntax(path)) for call in _bare_sleeps(test)]
    assert sleeps == [], "wait until a condition holds, or move an injected clock"


def _tests(module: ast.Module) -> Iterator[Function]:
    for node in ast.walk(module):
        if isinstance(node, Function) and node.name.startswith("test_"):
            yield node


def _bare_sleeps(node: ast.AST) -> Iterator[ast.Call]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function | ast.Lambda | ast.ClassDef | ast.While):
            continue
        if isinstance(child, ast.Call) and _is_sleep(child):
            yield child
        yield from _bare_sleeps(child)


def _is_sleep(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    gives_way_only = bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
    return name == "sleep" and not gives_way_only
