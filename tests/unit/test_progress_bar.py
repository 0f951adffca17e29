"""Meter: a bar on standard error, for what takes long enough to look at."""

import io
import re
from contextlib import redirect_stderr

import pytest

from polypool.progress_bar import Meter, meter_of


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    @property
    def text(self) -> str:
        """What was printed, without what moves and colours it."""
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.getvalue())


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Becomes standard error with `redirect_stderr`, within the test: pytest sets it anew between fixture and test."""
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


def test_a_bar_that_is_asked_for_shows_how_far_it_is(terminal: Terminal) -> None:
    with redirect_stderr(terminal), Meter("double", 10, shown=True) as meter:
        meter.advance(4)
        meter.advance(6)
    assert "sending double" in terminal.text
    assert "10/10" in terminal.text


def test_what_is_quick_shows_none(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polypool.progress_bar.PATIENCE", 1e9)
    with redirect_stderr(terminal), Meter("double", 10) as meter:
        meter.advance(10)
    assert terminal.text == ""


def test_a_sender_that_waits_shows_it_at_once_and_until_it_goes_on(terminal: Terminal) -> None:
    with redirect_stderr(terminal), Meter("double", 10) as meter:
        meter.waits("waiting for a worker, 4 have not ended")
        shown = len(terminal.text)
        assert "sending double (waiting for a worker, 4 have not ended)" in terminal.text
        meter.advance(6)
    assert "waiting" not in terminal.text[shown:].rpartition("sending double")[2]


def test_a_bar_that_is_not_wanted_is_not_shown(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    with redirect_stderr(terminal), Meter("double", 10, shown=False) as meter:
        meter.waits("waiting for a worker")
        meter.advance(10)
    monkeypatch.setattr(Terminal, "isatty", lambda self: False)
    with redirect_stderr(terminal), Meter("double", 10) as meter:
        meter.waits("waiting for a worker")
    assert terminal.text == ""


@pytest.mark.parametrize(("items", "total"), [([1, 2], "2/2"), (iter([1, 2]), "2/2"), ((n for n in [1, 2]), "2/2")])
def test_the_total_is_what_the_items_say_or_what_came(terminal: Terminal, items: object, total: str) -> None:
    with redirect_stderr(terminal), meter_of("double", items, True) as meter:
        meter.advance(2)
    assert total in terminal.text


@pytest.mark.parametrize("columns", ["60", "80"])
def test_on_a_narrow_terminal_a_long_name_gives_way_to_the_counts(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    with redirect_stderr(terminal), Meter("group 01a1fdd8da1c7009a2e1af715537d135", 3_000, shown=True) as meter:
        meter.advance(3_000)
    assert "sending" in terminal.text
    assert "3000/3000 0:00:00" in terminal.text
