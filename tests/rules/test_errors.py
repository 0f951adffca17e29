"""The error tree drawn at the top of core/error.py is the tree that is raised."""

import ast
import re

from polypool.core import error
from tests.rules.tree import PACKAGE, syntax

CLASSES = {node.name: node for node in syntax(PACKAGE / "core" / "error.py").body if isinstance(node, ast.ClassDef)}
BRANCH = re.compile(r"^(?P<indent>[ │├└─]*)(?P<name>[A-Z]\w+)(?= {2}|$)")


def test_every_error_is_drawn_under_the_one_it_inherits_from() -> None:
    written = {name: vars(error)[name].__bases__[0].__name__ for name in CLASSES}
    assert written
    assert written == _drawn()


def test_every_error_says_when_it_is_met() -> None:
    assert [name for name, node in CLASSES.items() if not ast.get_docstring(node)] == []


def _drawn() -> dict[str, str]:
    """Each name in the drawing and the name it hangs from; the root hangs from Exception."""
    parents: dict[str, str] = {}
    way_down: list[str] = []
    for line in (error.__doc__ or "").splitlines():
        branch = BRANCH.match(line)
        if branch is None:
            continue
        depth = len(branch["indent"]) // len("├── ")
        del way_down[depth:]
        parents[branch["name"]] = way_down[-1] if way_down else "Exception"
        way_down.append(branch["name"])
    return parents
