"""How the package's own files are named and opened."""

import ast
import re
from pathlib import Path

import pytest

from tests.rules.tree import PACKAGE, ROOT, files, short, sources, syntax

EMPTY_WORDS = {"util", "utils", "common", "helper", "helpers", "base", "manager", "managers"}
EMPTY_VERBS = re.compile(r"^_*(handle|do)_[a-z]|_impl$")

# Written so that this file does not find itself.
MACHINE_PATHS = re.compile(r"/(?:work|root|farm)/|/(?:home|Users)/\w|file:///\w|(?:INDEX|index)[_-](?:URL|url)\b")

MODULES = sources(PACKAGE)


def test_there_are_modules_to_look_at() -> None:
    assert PACKAGE / "py.typed" in files()


@pytest.mark.parametrize("module", MODULES, ids=short)
def test_every_module_says_what_it_is_for(module: Path) -> None:
    assert ast.get_docstring(syntax(module)), f"{short(module)} opens without a docstring"


@pytest.mark.parametrize("statement", sources(PACKAGE, ".sql") + sources(PACKAGE, ".lua"), ids=short)
def test_every_sql_and_lua_file_opens_with_its_purpose(statement: Path) -> None:
    first_line = statement.read_text(encoding="utf-8").lstrip().partition("\n")[0]
    assert re.match(r"--+\s*\w", first_line), f"{short(statement)} opens without a comment"


def test_no_file_or_folder_has_a_name_that_says_nothing() -> None:
    named = [path for path in files() if _words_on_the_way(path) & EMPTY_WORDS]
    assert [short(path) for path in named] == []


@pytest.mark.parametrize("module", MODULES, ids=short)
def test_no_function_has_a_verb_that_says_nothing(module: Path) -> None:
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    named = [node.name for node in ast.walk(syntax(module)) if isinstance(node, functions)]
    assert [name for name in named if EMPTY_VERBS.search(name)] == []


def test_no_file_names_a_path_of_one_machine() -> None:
    found = [
        f"{short(path)}:{number}: {line.strip()}"
        for path in files()
        for number, line in enumerate(_text(path).splitlines(), 1)
        if MACHINE_PATHS.search(line)
    ]
    assert found == []


def _words_on_the_way(path: Path) -> set[str]:
    return {part.partition(".")[0].strip("_").lower() for part in path.relative_to(ROOT).parts}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""  # a picture or another binary file
