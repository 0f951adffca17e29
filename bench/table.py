"""Readings as a table for people."""

import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.reading import Reading


def show(title: str, readings: Sequence[Reading]) -> None:
    """Print one figure's readings."""
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("measured")
    table.add_column("median", justify="right")
    table.add_column("lowest – highest", justify="right")
    table.add_column("to reach", justify="right")
    table.add_column("")
    for reading in readings:
        reach = "" if reading.reach is None else f"{reading.reach.sign} {number(reading.reach.bound)}"
        spread = f"{number(min(reading.samples))} – {number(max(reading.samples))}" if len(reading.samples) > 1 else ""
        name = Text(reading.what)
        if reading.note:
            name.append(f"\n  {reading.note}", style="dim")
        table.add_row(name, f"{number(reading.median)} {reading.unit}", spread, reach, _verdict(reading.is_met))
    _console().print(table)


def show_machine(facts: dict[str, Any], calibrations: Sequence[float]) -> None:
    """Print where it was measured, and how fast the machine was at the time."""
    packages = ", ".join(f"{name} {found}" for name, found in facts["packages"].items())
    pace = f"{min(calibrations):.1f} to {max(calibrations):.1f} ms" if calibrations else "not taken"
    _console().print(
        f"{facts['processors']} × {facts['processor']}, {facts['memory_gb']} GB, {facts['system']}, "
        f"Python {facts['python']}, SQLite {facts['sqlite']}, {packages}\n"
        f"a fixed piece of pure Python took {pace} during this run",
        style="dim",
        highlight=False,
    )


def number(value: float) -> str:
    """Three digits that count, thousands apart."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    if value == int(value):
        return f"{value:.0f}"
    return f"{value:.3g}"


def _verdict(is_met: bool | None) -> Text:
    if is_met is None:
        return Text("")
    return Text("reached", style="green") if is_met else Text("missed", style="red")


def _console() -> Console:
    """As wide as the terminal; wide enough for whole lines where the output goes to a file."""
    is_terminal = sys.stdout.isatty()
    return Console(width=None if is_terminal else 120)
