"""The app of the tests that send many."""

import os

from polypool import Polypool, Values

app = Polypool("many", broker=os.environ.get("MARKS_BROKER", "sqlite:///marks.db"))


@app.task(name="many.double", pool="prefork")
def double(n: int) -> int:
    return 2 * n


@app.task(name="many.add", pool="prefork")
def add(x: int, y: int = 100) -> int:
    return x + y


@app.task(name="many.total", pool="prefork")
def total(numbers: Values[int]) -> int:
    return sum(numbers)


@app.task(name="many.total_of_lists", pool="prefork")
def total_of_lists(chunks: Values[list[int]]) -> int:
    return sum(map(sum, chunks))
