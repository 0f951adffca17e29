"""The tasks: `steps` for each id, in the prefork pool; `total`, which gets what all chunks returned, page by page.

A chunk's rows are written together when it has run, by a middleware, which goes around the chunk as a whole. They are
written before the chunk counts as done: should the process die in between, the chunk is run again and writes the same
rows over.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypedDict

from examples.ids.collatz import steps_to_one
from examples.ids.results import Table
from polypool import Polypool, Values, current

FILE = os.environ.get("IDS_RESULTS", "ids-results.db")
BROKER = os.environ.get("IDS_BROKER", "sqlite:///ids.db")


class Summary(TypedDict):
    """What `total` returns."""

    count: int
    sum: int
    longest: int


class Work:
    """What a child of the worker has as `current.state`."""

    def __init__(self) -> None:
        self.table = Table(FILE)
        self.rows: list[tuple[int, int]] = []
        """Of the chunk that runs; prefork runs one at a time."""


@contextmanager
def lifespan(app: Polypool) -> Iterator[Work]:
    work = Work()
    try:
        yield work
    finally:
        work.table.close()


@contextmanager
def rows_written(call: Any) -> Iterator[None]:
    """Around every run: what it found is in the database when it is over."""
    work: Work = call.state
    work.rows.clear()
    yield
    if work.rows:
        work.table.write(work.rows)


app = Polypool("ids", broker=BROKER, lifespan=lifespan, middleware=[rows_written])


@app.task(name="ids.steps", pool="prefork", max_lost=10)
def steps(id: int) -> int:
    """The work for one id."""
    found = steps_to_one(id)
    current.state.rows.append((id, found))
    return found


@app.task(name="ids.total", pool="prefork")
def total(chunks: Values[list[int]]) -> Summary:
    """Of all ids. However many chunks there were, a few pages of them are in memory."""
    summary = Summary(count=0, sum=0, longest=0)
    for found in chunks:
        summary["count"] += len(found)
        summary["sum"] += sum(found)
        summary["longest"] = max(summary["longest"], *found)
    return summary
