"""Run it all: a worker in a temporary folder, the ids, a bar, and what came of it.

python -m examples.ids --count 100000
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import track

from polypool import GroupResult, chord, group

if TYPE_CHECKING:
    from examples.ids.app import Summary
    from polypool import AsyncResult

LOOKS_EVERY_S = 5.0
POLYPOOL = (sys.executable, "-m", "polypool.cli.main")


def main() -> None:
    given = arguments()
    if "IDS_RESULTS" in os.environ:
        sys.exit(run(given.count, given.size, given.processes))
    with tempfile.TemporaryDirectory(prefix="polypool-ids-") as folder:
        os.environ["IDS_RESULTS"] = os.path.join(folder, "results.db")
        os.environ.setdefault("IDS_BROKER", f"sqlite:///{folder}/queue.db")
        sys.exit(run(given.count, given.size, given.processes))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.ids", description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=100_000, help="how many ids (default 100,000)")
    parser.add_argument("--size", type=int, help="ids a chunk (default: found, for chunks of half a second)")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="of the prefork pool (default: all)")
    return parser.parse_args()


def ids(count: int) -> Iterator[int]:
    """As they would come from a file or a database: one after the other, never all in memory."""
    yield from range(1, count + 1)


def run(count: int, size: int | None, processes: int) -> int:
    """The exit code is 1 when the database has not what the chord returned."""
    # Now, and not above: where it keeps its files is read from the environment.
    from examples.ids.app import FILE, app, steps, total
    from examples.ids.results import make, summed

    make(FILE)
    with a_worker(processes) as worker:
        began = time.monotonic()
        result = chord(group.chunks(steps, ids(count), size), total.s()).delay()
        summary = wait(result, worker)
        took = time.monotonic() - began
    app.close()
    rows, stored = summed(FILE)
    print(f"{count:,} ids in {took:.1f} s, {count / took:,.0f} a second")
    print(f"the chord: {summary['count']:,} results, sum {summary['sum']:,}, longest {summary['longest']:,}")
    print(f"the database: {rows:,} rows, sum {stored:,}")
    return 0 if (rows, stored) == (summary["count"], summary["sum"]) == (count, summary["sum"]) else 1


def wait(result: "AsyncResult[Summary]", worker: "subprocess.Popen[bytes]") -> "Summary":
    """Until the chord has its result, with a bar for its chunks where there is a terminal. Ends with the worker."""
    chunks = result.parent
    if isinstance(chunks, GroupResult) and sys.stderr.isatty():
        for _ in track(chunks, "running ids.steps", len(chunks), console=Console(stderr=True)):
            pass  # each is looked at and let go, so there may be any number of them
    while True:
        try:
            return result.get(timeout=LOOKS_EVERY_S)
        except TimeoutError:
            if worker.poll() is not None:
                sys.exit(f"the worker has ended with {worker.returncode}; what it said stands above")


@contextmanager
def a_worker(processes: int) -> Iterator["subprocess.Popen[bytes]"]:
    command = (*POLYPOOL, "worker", "examples.ids.app:app", "--pool", f"prefork={processes}", "--log-level", "error")
    worker = subprocess.Popen(command)
    try:
        yield worker
    finally:
        worker.terminate()
        worker.wait()


if __name__ == "__main__":
    main()
