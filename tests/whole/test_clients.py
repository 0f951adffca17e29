"""Clients of every kind (scripts, threads, loops, forks, greenlets) on one file, and a real worker that serves them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.whole.workers import WorkerProcess

APP = """
import asyncio
from polypool import Polypool, current

app = Polypool("sums", broker="sqlite:///sums.db")


@app.task
def add(x: int, y: int = 0) -> int:
    return x + y


@app.task
async def parent(n: int) -> int:
    return sum(await (await add.amap(range(n))))


@app.task
def sender(n: int) -> str:
    return add.map(range(n)).id


@app.task
def impatient() -> int:
    return parent.delay(3).get()


@app.task
async def steps(n: int) -> str:
    for done in range(n):
        current.progress(done, n)
        await asyncio.sleep(0)
    return "done"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the app `sums` in it and one worker that serves it."""
    folder = tmp_path_factory.mktemp("clients")
    (folder / "sums.py").write_text(APP, encoding="utf-8")
    worker = WorkerProcess(folder, "sums:app", "--pool", "threads=8")
    try:
        yield worker.wait_ready().folder
    finally:
        worker.process.terminate()
        worker.process.wait(60)


def run(folder: Path, program: str, *options: str) -> str:
    """What a client program prints; it must end by itself, without a word on its standard error."""
    ran = subprocess.run(
        [sys.executable, *options, "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stderr
    return ran.stdout.strip()


def test_a_script_sends_and_waits(folder: Path) -> None:
    assert run(folder, "from sums import *; print(add.delay(1, 2).get(timeout=100))", "-W", "default") == "3"


def test_a_program_that_is_run_itself_agrees_with_the_worker_on_names(folder: Path) -> None:
    (folder / "own.py").write_text(
        APP.replace('"sums"', '"own"') + "\nif __name__ == '__main__':\n    print(add.name)\n"
    )
    ran = subprocess.run(
        [sys.executable, "own.py"], cwd=folder, capture_output=True, text=True, timeout=200, check=True
    )
    assert ran.stdout.strip() == "own.add"


def test_a_coroutine_sends_and_waits_in_either_colour(folder: Path) -> None:
    program = """
import asyncio, logging
from sums import *

# asyncio's debug mode reports steps that a busy machine makes slow; they are not what is looked for here.
logging.getLogger("asyncio").setLevel(logging.ERROR)

async def main():
    blocking = add.delay(1, 1)
    awaited = await add.adelay(2, 2)
    values = await asyncio.gather(blocking, awaited, awaited.aget(timeout=100))
    print(*values, blocking.get(timeout=100))

asyncio.run(main())
asyncio.run(main())
"""
    assert run(folder, program, "-X", "dev") == "2 4 4 2\n2 4 4 2"


def test_two_hundred_coroutines_wait_at_once(folder: Path) -> None:
    program = """
import asyncio
from sums import *

async def one(n):
    return await (await add.adelay(n, 1))

async def main():
    print(sum(await asyncio.gather(*(one(n) for n in range(200)))))

asyncio.run(main())
"""
    assert run(folder, program) == str(sum(range(1, 201)))


def test_many_threads_share_the_line(folder: Path) -> None:
    program = """
import threading
from concurrent.futures import ThreadPoolExecutor
from sums import *

with ThreadPoolExecutor(16) as threads:
    print(sum(threads.map(lambda n: add.delay(n).get(timeout=100), range(300))), threading.active_count() < 20)
"""
    assert run(folder, program) == f"{sum(range(300))} True"


def test_children_of_a_parent_that_has_sent_send_and_wait_too(folder: Path) -> None:
    program = """
import os
from sums import *

assert add.delay(1).get(timeout=100) == 1
children = []
for n in range(4):
    child = os.fork()
    if child == 0:
        ok = [add.delay(n, i).get(timeout=100) for i in range(20)] == [n + i for i in range(20)]
        os._exit(0 if ok else 1)
    children.append(child)
for i in range(20):
    assert add.delay(i).get(timeout=100) == i
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
assert add.delay(5).get(timeout=100) == 5
"""
    assert run(folder, program) == "[0, 0, 0, 0]"


def test_forking_while_threads_send_leaves_parent_and_child_at_work(folder: Path) -> None:
    program = """
import os, threading
from sums import *

stop = threading.Event()
sent = []
def send():
    while not stop.is_set():
        result = add.delay(1)
        result.get(timeout=100)  # not faster than the worker, or the children's tasks would wait behind a flood
        sent.append(result)
threads = [threading.Thread(target=send) for _ in range(4)]
for thread in threads: thread.start()
codes = []
for n in range(10):
    child = os.fork()
    if child == 0:
        os._exit(0 if add.delay(n).get(timeout=100) == n else 1)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop.set()
for thread in threads: thread.join()
print(set(codes), all(result.get(timeout=100) == 1 for result in sent), len(sent) > 10)
"""
    assert run(folder, program) == "{0} True True"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_multiprocessing_send(folder: Path, method: str) -> None:
    (folder / "many.py").write_text(
        "import multiprocessing, sys\n"
        "from sums import add\n"
        "def work(n): return add.delay(n).get(timeout=100)\n"
        "if __name__ == '__main__':\n"
        "    add.delay(1).get(timeout=100)\n"
        "    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:\n"
        "        print(sum(pool.map(work, range(20))))\n",
        encoding="utf-8",
    )
    ran = subprocess.run(
        [sys.executable, "many.py", method], cwd=folder, capture_output=True, text=True, timeout=200, check=False
    )
    assert (ran.stdout.strip(), ran.stderr) == (str(sum(range(20))), "")


PATCHED = {
    "gevent": """
from gevent import monkey; monkey.patch_all()
import gevent, time
from sums import *

ticks = []
def tick():
    while True:
        ticks.append(1)
        gevent.sleep(0.005)
ticking = gevent.spawn(tick)
jobs = [gevent.spawn(lambda n=n: add.delay(n).get(timeout=100)) for n in range(200)]
gevent.joinall(jobs)
ticking.kill()
print(sum(job.value for job in jobs), len(ticks) > 1)
""",
    "eventlet": """
import warnings; warnings.simplefilter("ignore")
import eventlet; eventlet.monkey_patch()
from sums import *

ticks = []
def tick():
    while True:
        ticks.append(1)
        eventlet.sleep(0.005)
ticking = eventlet.spawn(tick)
pool = eventlet.GreenPool(200)
values = list(pool.imap(lambda n: add.delay(n).get(timeout=100), range(200)))
ticking.kill()
print(sum(values), len(ticks) > 1)
""",
}


@pytest.mark.parametrize("library", PATCHED)
def test_greenlets_of_a_patched_process_wait_without_stopping_each_other(folder: Path, library: str) -> None:
    pytest.importorskip(library)
    assert run(folder, PATCHED[library], "-W", "ignore") == f"{sum(range(200))} True"


@pytest.mark.parametrize("library", PATCHED)
def test_a_patched_process_forks_and_its_child_sends(folder: Path, library: str) -> None:
    pytest.importorskip(library)
    patch = {
        "gevent": "from gevent import monkey; monkey.patch_all()",
        "eventlet": "import eventlet; eventlet.monkey_patch()",
    }[library]
    program = f"""
{patch}
import os
from sums import *

assert add.delay(1).get(timeout=100) == 1
child = os.fork()
if child == 0:
    os._exit(0 if add.delay(2).get(timeout=100) == 2 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), add.delay(3).get(timeout=100))
"""
    assert run(folder, program, "-W", "ignore") == "0 3"


def test_tasks_send_sub_tasks_and_only_async_ones_wait_for_them(folder: Path) -> None:
    program = """
from sums import *
print(parent.delay(10).get(timeout=100))
print(app.group_result(sender.delay(10).get(timeout=100), 10).get(timeout=100))
try:
    impatient.delay().get(timeout=100)
except Exception as error:
    print(type(error).__name__, "return chain(" in str(error))
"""
    assert run(folder, program).splitlines() == ["45", str(list(range(10))), "WaitInsideTask True"]


def test_a_watcher_sees_every_step_and_the_end(folder: Path) -> None:
    program = """
from sums import *
from polypool import Progress
events = list(steps.delay(50).events())
print(sum(isinstance(event, Progress) for event in events), type(events[-1]).__name__, events[-1].state)
"""
    assert run(folder, program) == "50 Ended succeeded"


def test_a_hundred_thousand_are_sent_in_flat_memory_and_all_run(folder: Path) -> None:
    program = """
import resource
from sums import *
add.map(range(2000)).get(timeout=100)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
group = add.map((n for n in range(100_000)), progress=False, queue="nobody-serves-it")
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(len(group), grown < 20_000, group.cancel())
"""
    assert run(folder, program) == "100000 True 100000"


def test_a_bar_shows_on_a_terminal_when_asked_for_and_not_in_a_pipe(folder: Path) -> None:
    program = "from sums import *; import sys; add.map(range(3), progress=True); add.map(range(3))"
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=200, check=True
    )
    assert ran.stderr.count("sending sums.add") >= 1
    assert "3/3" in ran.stderr
    assert run(folder, program.replace("progress=True", "progress=None")) == ""
