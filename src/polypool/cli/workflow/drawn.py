"""A workflow's tree as a table with branches, and below it what failed and where the time went."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from polypool.canvas.node import Node, Tree
from polypool.cli.table import Block, Note, Row, Table, columns
from polypool.core.lifecycle import State
from polypool.observe.words import ago, percent, span

T = TypeVar("T")

NAMES = 24
"""Characters of names below which a narrow terminal rather sees no ids, and then no times."""
BETWEEN = 3
"""Characters that rich puts between two columns."""
MOST_ERRORS = 5

_STYLES = {"failed": "red", "cancelled": "yellow", "running": "cyan", "unknown": "dim", "scheduled": "dim"}
_CALLBACK = {"success": "on success: ", "failure": "on failure: ", "returned": "returned: "}


def blocks(tree: Tree, width: int | None = None) -> list[Block]:
    """For people; `width` is that of their terminal."""
    rows = tuple(_row(tree, node, branch) for node, branch in _lines(tree.root, "", ""))
    table = Table(_title(tree), columns("", "step", "id", "state", ">queued", ">ran"), rows)
    shown: list[Block] = [table if width is None else _fitted(table, width)]
    shown += [Note(text, "red") for text in _errors(tree.root)]
    shown += [Note(text) for text in (*_remarks(tree), _where_the_time_went(tree))]
    return shown


def _title(tree: Tree) -> str:
    kind = "task" if tree.root.kind == "task" and not tree.root.children else "workflow"
    part = "" if tree.root.id == tree.workflow else f" (a part of workflow {tree.workflow})"
    sent = "" if tree.sent is None else f", sent {ago(tree.at - tree.sent)}"
    return f"{kind} {tree.root.id}{part}: {_state(tree.root)}{sent}"


def _lines(node: Node, branch: str, below: str) -> Iterator[tuple[Node, str]]:
    """Each node and the branches that lead to it. A chain's steps hang from what the chain hangs from, but for the
    outermost one's, whose line is the title."""
    yield node, branch
    for index, child in enumerate(node.children):
        is_last = index == len(node.children) - 1
        yield from _lines(child, f"{below}{'└─ ' if is_last else '├─ '}", f"{below}{'   ' if is_last else '│  '}")


def _row(tree: Tree, node: Node, branch: str) -> Row:
    is_timed = node.kind == "task" and (node.queued is not None or node.running is not None)
    on_the_way = "●" if is_timed and node.id in tree.path else ""
    id = node.id.removeprefix(tree.root.id)
    times = (_span(node.queued, node), _span(node.running, node))
    style = _STYLES.get(node.state, "") if node.because is None else "dim"
    return Row((on_the_way, branch + _name(node), id, _state(node), *times), style)


def _fitted(table: Table, width: int) -> Table:
    """One line a step on a terminal that is so wide: without some columns, and with names cut, where it must be."""
    lines = [tuple(column.name for column in table.columns), *(row.cells for row in table.rows)]
    widest = [max(len(line[place]) for line in lines) for place in range(len(table.columns))]
    room = 0
    for kept in ((0, 1, 2, 3, 4, 5), (0, 1, 3, 4, 5), (0, 1, 3)):
        room = width - sum(widest[place] for place in kept if place != 1) - BETWEEN * len(kept)
        if room >= min(widest[1], NAMES):
            break
    rows = tuple(
        Row(
            tuple(_cut(cell, max(room, 1)) if place == 1 else cell for place, cell in _kept(row.cells, kept)), row.style
        )
        for row in table.rows
    )
    return Table(table.title, tuple(column for _, column in _kept(table.columns, kept)), rows)


def _kept(cells: Sequence[T], kept: Sequence[int]) -> list[tuple[int, T]]:
    return [(place, cells[place]) for place in kept]


def _name(node: Node) -> str:
    text = _CALLBACK.get(node.role, "")
    if node.kind == "task":
        text += node.task or "task"
    elif node.kind == "chain":
        text += "chain"
    else:
        text += f"{'?' if node.count is None else f'{node.count:,}'} × {node.task}" if node.task else _group(node)
    if node.name is not None:
        text += f" ({node.name})"
    if node.stands_out:
        text += f" ({', '.join(node.stands_out)})"
    return text


def _group(node: Node) -> str:
    names = {child.task for child in node.children}
    count = node.count or 0
    if len(names) == 1 and None not in names:
        return f"{count:,} × {names.pop()}"
    return "1 member" if count == 1 else f"{count:,} members"


def _state(node: Node) -> str:
    if node.kind == "group" and len(node.counts) > 1:
        return ", ".join(f"{count:,} {state}" for state, count in node.counts.items())
    if node.because is not None and node.kind == "task":
        return f"{node.state}, not run"
    if node.taken_from is not None:
        return "taken over"
    return f"{node.state}, run {node.run}" if node.run > 1 else node.state


def _span(seconds: float | None, node: Node) -> str:
    is_known = node.kind == "task" or node.ended is not None
    return span(seconds) if seconds is not None and is_known else ""


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _failed(node: Node) -> Iterator[Node]:
    if node.error is not None and node.kind == "task":
        yield node
    for child in node.children:
        yield from _failed(child)


def _errors(root: Node) -> list[str]:
    failed = list(_failed(root))
    texts = [f"{node.task} {node.id}: {node.error}" for node in failed[:MOST_ERRORS]]
    if len(failed) > MOST_ERRORS:
        texts.append(f"and {len(failed) - MOST_ERRORS:,} more")
    return texts


def _remarks(tree: Tree) -> Iterator[str]:
    root = tree.root
    if root.state in (State.FAILED, State.CANCELLED) and root.id == tree.workflow and root.children:
        yield f"Run it again from there on: polypool workflow retry {root.id}"
    if _has_unknown(root):
        yield ("unknown: not sent yet, not needed because of what was taken over, or no longer kept (result_ttl)")


def _has_unknown(node: Node) -> bool:
    is_unknown = node.state == "unknown" or bool(node.counts.get("unknown"))
    return is_unknown or any(map(_has_unknown, node.children))


def _where_the_time_went(tree: Tree) -> str:
    if tree.total is None:
        return "Nothing is known of when it was sent."
    took = "took" if tree.root.ended is not None else "so far"
    parts = [("queued", tree.queued), ("running", tree.running), ("waiting for its time", tree.waiting)]
    told = [
        f"{span(seconds)} {name} ({percent(_share(seconds, tree.total))})" for name, seconds in parts if seconds > 0
    ]
    text = f"{took} {span(tree.total)}" + (f": {', '.join(told)}" if told else "")
    return text[0].upper() + text[1:] + _most(tree)


def _share(seconds: float, total: float) -> float | None:
    return min(seconds / total, 1.0) if total > 0 else None


def _most(tree: Tree) -> str:
    """The step with which to begin."""
    on_the_way = [node for node in _tasks(tree.root) if node.id in tree.path]
    if len(on_the_way) < 2:
        return ""
    is_queued = tree.queued > tree.running
    node = max(on_the_way, key=lambda one: (one.queued if is_queued else one.running) or 0.0)
    most = node.queued if is_queued else node.running
    if not most:
        return ""
    if is_queued:
        return (
            f"\nThe longest wait for a free slot: {node.task}, {span(most)}. `polypool status` shows whether a worker "
            "serves its queue, and whether its pool is full"
        )
    return f"\nThe longest run on the way: {node.task}, {span(most)}"


def _tasks(node: Node) -> Iterator[Node]:
    if node.kind == "task":
        yield node
    for child in node.children:
        yield from _tasks(child)
