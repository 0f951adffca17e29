"""What a looking command shows: tables and notes, drawn by rich on a terminal and as plain text elsewhere."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

GAP = "  "


class Column(msgspec.Struct, frozen=True):
    """A column's heading; figures stand to the right."""

    name: str
    is_figure: bool = False


class Row(msgspec.Struct, frozen=True):
    """One line of a table; `style` is a colour for what should be seen first."""

    cells: tuple[str, ...]
    style: str = ""


class Table(msgspec.Struct, frozen=True):
    """`empty` is said instead when there are no rows."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    empty: str = "nothing"


class Note(msgspec.Struct, frozen=True):
    """A line or a few of text."""

    text: str
    style: str = ""


Block = Table | Note


def columns(*named: str) -> tuple[Column, ...]:
    """Columns from their headings; `>name` for figures."""
    return tuple(Column(name.removeprefix(">"), is_figure=name.startswith(">")) for name in named)


def plain(blocks: Iterable[Block]) -> str:
    """As text without colours or lines: for pipes, logs and mails."""
    return "\n\n".join(block.text if isinstance(block, Note) else _plain_table(block) for block in blocks)


def drawn(blocks: Iterable[Block]) -> "Group":
    """As a rich renderable."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = []
    for block in blocks:
        if parts:
            parts.append(Text())
        parts.append(Text(block.text, style=block.style) if isinstance(block, Note) else _drawn_table(block))
    return Group(*parts)


def _plain_table(table: Table) -> str:
    if not table.rows:
        return f"{table.title}: {table.empty}"
    lines = [tuple(column.name for column in table.columns), *(row.cells for row in table.rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(table.columns))]
    return "\n".join([f"{table.title}:", *(_plain_line(line, table.columns, widths) for line in lines)])


def _plain_line(cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    placed = (
        cell.rjust(width) if column.is_figure else cell.ljust(width)
        for cell, column, width in zip(cells, columns, widths, strict=True)
    )
    return (GAP + GAP.join(placed)).rstrip()


def _drawn_table(table: Table) -> "RenderableType":
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    if not table.rows:
        return Text.assemble((table.title, "bold"), f": {table.empty}")
    made = RichTable(title=table.title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in table.columns:
        # An id is there to be copied: on a narrow terminal others give way first.
        made.add_column(column.name, justify="right" if column.is_figure else "left", no_wrap=column.name == "id")
    for row in table.rows:
        made.add_row(*(Text(cell) for cell in row.cells), style=row.style)
    return made
