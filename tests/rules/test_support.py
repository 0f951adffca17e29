"""The support matrix in the docs is what the engines say of themselves."""

from tests.rules.support import PAGE, shown, table, untold


def test_the_matrix_in_the_docs_is_made_of_the_traits() -> None:
    advice = "an engine has changed: `python -m tests.rules.support` writes docs/engines.md anew"
    assert shown(PAGE.read_text(encoding="utf-8")) == table(), advice


def test_the_matrix_tells_of_every_trait() -> None:
    assert untold() == set(), "give it a row in tests/rules/support.py"
