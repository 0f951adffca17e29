"""A bar on the terminal for sends and waits that take long enough to look at."""

import operator
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE = 1.0
"""Seconds before a bar appears by itself."""
FIGURES_COLUMNS = 46
"""Of a terminal's width, what a short bar, the counts and the times take: they are what the bar is looked at for."""
FEWEST_COLUMNS = 8
"""Of what is counted, shown however narrow the terminal is."""


class Meter:
    """Counts what was sent, or has ended. Shows a bar on stderr after a second if that is a terminal.

    `shown`: True always shows it, False never does. `total` is None where nobody knows it.
    """

    def __init__(self, what: str, total: int | None, shown: bool | None = None, doing: str = "sending") -> None:
        self._what = f"{doing} {what}"
        self._total = total
        self._may_show = sys.stderr.isatty() if shown is None else shown
        self._show_at = time.monotonic() + (0.0 if shown else PATIENCE)
        self._done = 0
        self._state = ""
        self._room = sys.maxsize
        """Columns for the text in front of the bar."""
        self._bar: Progress | None = None
        self._row: TaskID | None = None

    def advance(self, count: int) -> None:
        """So many more are durable, or have ended."""
        self._done += count
        self._tell("")
        if self._bar is None and self._may_show and time.monotonic() >= self._show_at:
            self._show()
        if self._bar is not None and self._row is not None:
            self._bar.update(self._row, completed=self._done)

    def waits(self, why: str) -> None:
        """Nothing more is sent for now; shown until more is."""
        self._tell(f" ({why})")
        if self._bar is None and self._may_show:
            self._show()

    def _tell(self, state: str) -> None:
        if state != self._state:
            self._state = state
            if self._bar is not None and self._row is not None:
                self._bar.update(self._row, description=self._text, refresh=True)

    @property
    def _text(self) -> str:
        """What is done, cut where it would push the figures out of a narrow terminal; what it waits for stays whole
        longest."""
        most = max(self._room - len(self._state), FEWEST_COLUMNS)
        return _cut(_cut(self._what, most) + self._state, max(self._room, FEWEST_COLUMNS))

    def _show(self) -> None:
        from rich import progress
        from rich.console import Console

        console = Console(stderr=True)
        self._room = console.width - FIGURES_COLUMNS
        self._bar = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeElapsedColumn(),
            progress.TimeRemainingColumn(),
            console=console,
        )
        self._row = self._bar.add_task(self._text, total=self._total)
        self._bar.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None and self._row is not None:
            if error is None:
                self._bar.update(self._row, total=self._done, completed=self._done)
            self._bar.stop()


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def meter_of(what: str, items: object, shown: bool | None) -> Meter:
    """A meter for sending these items, with their number as the total where they know it."""
    return Meter(what, operator.length_hint(items) or None, shown)
