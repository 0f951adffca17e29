"""ClientLine: one thread and one engine a process, opened when needed, shared by all who ask, new after a fork."""

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from polypool import EngineUnreachable, MessageTooLarge
from polypool.blocking import ClientLine
from polypool.brokers.memory import MemoryEngine
from polypool.brokers.open import open_engine
from polypool.connection import LARGEST_PUT, Connection
from polypool.core.ask import Await, Cancel, Put, Read
from polypool.core.message import Message
from tests.unit.by_hand import EngineByHand, wait_until


class SlowEngine(EngineByHand):
    """Writes one put at a time, each only when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.puts: list[int] = []
        self.gate = threading.Semaphore(0)
        self.refuses = "nothing"

    async def put(self, messages: Sequence[Message]) -> list[bool]:
        self.puts.append(len(messages))
        await asyncio.to_thread(self.gate.acquire)
        if any(message.task == self.refuses for message in messages):
            raise MessageTooLarge("too large")
        return list(await super().put(messages))


def message(id: str, task: str = "t") -> Message:
    return Message(id, task, b"")


@contextlib.contextmanager
def line_to(engine: Any) -> Iterator[ClientLine]:
    line = ClientLine(lambda: engine)
    try:
        yield line
    finally:
        line.close()


def test_the_engine_is_opened_by_the_first_ask_and_once_for_all() -> None:
    engine = EngineByHand()
    with line_to(engine) as line:
        assert not hasattr(engine, "times_opened")
        answers = [line.ask(Put([message(str(n))])) for n in range(50)]
        assert [answer.result(60) for answer in answers] == [[True]] * 50
        assert engine.times_opened == 1


def test_sends_that_pile_up_are_written_as_one_and_answered_each() -> None:
    engine = SlowEngine()
    with line_to(engine) as line:
        first = line.ask(Put([message("0")]))
        wait_until(lambda: engine.puts == [1])
        rest = [line.ask(Put([message(str(n)), message(f"{n}b")])) for n in range(1, 11)]
        again = line.ask(Put([message("0")]))
        engine.gate.release(3)
        assert first.result(60) == [True]
        assert [answer.result(60) for answer in rest] == [[True, True]] * 10
        assert again.result(60) == [False]
        assert engine.puts == [1, 21]


def test_what_piles_up_is_written_in_parts_of_bounded_size() -> None:
    engine = SlowEngine()
    with line_to(engine) as line:
        line.ask(Put([message("first")]))
        wait_until(lambda: engine.puts == [1])
        size = LARGEST_PUT // 2
        answers = [line.ask(Put([message(f"{part}-{n}") for n in range(size)])) for part in range(4)]
        engine.gate.release(10)
        for answer in answers:
            assert answer.result(60) == [True] * size
        assert engine.puts == [1, LARGEST_PUT, LARGEST_PUT]


def test_a_send_that_is_refused_does_not_take_others_with_it() -> None:
    engine = SlowEngine()
    engine.refuses = "huge"
    with line_to(engine) as line:
        line.ask(Put([message("first")]))
        wait_until(lambda: engine.puts == [1])
        good, huge, better = (line.ask(Put([message(str(n), task)])) for n, task in enumerate(["a", "huge", "b"]))
        engine.gate.release(10)
        assert good.result(60) == better.result(60) == [True]
        with pytest.raises(MessageTooLarge):
            huge.result(60)


def test_an_engine_that_cannot_be_opened_is_told_to_each_and_tried_again() -> None:
    attempts = []

    class Absent(MemoryEngine):
        async def open(self) -> None:
            attempts.append(1)
            if len(attempts) < 3:
                raise EngineUnreachable("not there yet")

    with line_to(Absent()) as line:
        for _ in range(2):
            with pytest.raises(EngineUnreachable, match="not there yet"):
                line.ask(Put([message("1")])).result(60)
        assert line.ask(Put([message("1")])).result(60) == [True]


def test_many_threads_and_loops_share_one_line() -> None:
    engine = EngineByHand()
    accepted: list[bool] = []

    def send(start: int) -> None:
        for number in range(start, start + 100):
            accepted.extend(line.ask(Put([message(str(number))])).result(60))

    async def asend(start: int) -> None:
        for number in range(start, start + 100):
            accepted.extend(await line.ask(Put([message(str(number))])))

    with line_to(engine) as line:
        threads = [threading.Thread(target=send, args=(1000 * n,)) for n in range(4)]
        threads += [threading.Thread(target=lambda n=n: asyncio.run(asend(1000 * n))) for n in range(4, 8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert accepted == [True] * 800
        assert engine.times_opened == 1


async def test_a_blocking_ask_works_inside_a_running_loop() -> None:
    with line_to(EngineByHand()) as line:
        assert line.ask(Put([message("1")])).result(60) == [True]
        assert await line.ask(Put([message("2")])) == [True]


def test_closing_writes_what_was_sent_and_ends_all_waits() -> None:
    engine = SlowEngine()
    line = ClientLine(lambda: engine)
    engine.gate.release()
    line.ask(Put([message("1")])).result(60)
    sent = line.ask(Put([message("2")]))
    waiting = line.ask(Await(["1"], 60.0))
    closing = threading.Thread(target=line.close)
    closing.start()
    engine.gate.release()
    closing.join(60)
    assert sent.result(0) == [True]
    with pytest.raises(EngineUnreachable, match="closed while this was waited for"):
        waiting.result(0)


def test_a_closed_line_opens_again_at_the_next_ask() -> None:
    engine = EngineByHand()
    line = ClientLine(lambda: engine)
    for number in (1, 2):
        assert line.ask(Put([message(str(number))])).result(60) == [True]
        line.close()
        line.close()
    assert engine.times_opened == 2


def test_an_ask_that_a_close_overtakes_is_answered_and_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it met a loop that was gone, in the moment between being put down and waking that loop."""
    engine = EngineByHand()
    connection = Connection(lambda: engine)
    wake = connection._loop.call_soon_threadsafe

    class Overtaken:
        """The connection's loop, where another thread closes the connection before the first wakeup arrives."""

        def __init__(self) -> None:
            self._is_first = True

        def __getattr__(self, name: str) -> Any:
            return getattr(loop, name)

        def call_soon_threadsafe(self, *arguments: Any) -> Any:
            if self._is_first:
                self._is_first = False
                closing = threading.Thread(target=connection.close)
                closing.start()
                closing.join(60)
            return wake(*arguments)

    loop = connection._loop
    monkeypatch.setattr(connection, "_loop", Overtaken())
    reply = connection.ask(Put([message("1")]))
    assert reply is not None and reply.result(60) == [True]
    assert connection.ask(Put([message("2")])) is None, "it is closed"


def test_an_error_of_one_ask_reaches_its_waiter_only() -> None:
    class Broken(EngineByHand):
        async def read(self, ids: Sequence[str]) -> Any:
            raise EngineUnreachable(f"cannot read {ids[0]}")

    with line_to(Broken()) as line:
        bad, good = line.ask(Read(["x"])), line.ask(Put([message("1")]))
        with pytest.raises(EngineUnreachable, match="cannot read x"):
            bad.result(60)
        assert good.result(60) == [True]


def test_a_forked_child_opens_an_engine_of_its_own_while_other_threads_of_the_parent_send() -> None:
    opened: list[int] = []

    def make() -> EngineByHand:
        opened.append(os.getpid())
        return EngineByHand()

    line = ClientLine(make)
    stop = threading.Event()

    def send() -> None:
        number = 0
        while not stop.is_set():
            line.ask(Put([message(f"p{number}")])).result(60)
            number += 1

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: opened == [os.getpid()])
        for _ in range(20):
            child = os.fork()
            if child == 0:
                accepted = line.ask(Put([message("c")])).result(60)
                os._exit(0 if accepted == [True] and opened[-1] == os.getpid() else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert set(opened) == {os.getpid()}
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
        line.close()


def test_an_idle_line_costs_no_cpu() -> None:
    with line_to(EngineByHand()) as line:
        line.ask(Put([message("1")])).result(60)
        waiting = line.ask(Await(["1"], 60.0))

        def busy_part() -> float:
            begun, spent = time.monotonic(), time.process_time()
            with contextlib.suppress(TimeoutError):
                waiting.result(0.2)
            return (time.process_time() - spent) / (time.monotonic() - begun)

        # Other threads of this process may have something to do now and then.
        assert min(busy_part() for _ in range(5)) < 0.05


ENDS = {
    "after a send": "work.delay(1)",
    "while another thread waits": "import threading; r = work.delay(1)\n"
    "threading.Thread(target=r.get, daemon=True).start()",
    "with a send at exit": "import atexit; atexit.register(lambda: work.delay(2)); work.delay(1)",
    "by sys.exit in a loop": "import asyncio, sys\n"
    "async def main():\n    await work.adelay(1); sys.exit(0)\nasyncio.run(main())",
    "closed before": "work.delay(1); app.close()",
    "in a forked child": "import os; work.delay(1)\nif os.fork() == 0:\n    work.delay(2)\nelse:\n    os.wait()",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_process_ends_by_itself(end: str, tmp_path: Path) -> None:
    program = (
        # asyncio's debug mode reports steps that a busy machine makes slow; they are not what is looked for here.
        "import logging; logging.getLogger('asyncio').setLevel(logging.ERROR)\n"
        "from polypool import Polypool\n"
        "app = Polypool('x', broker='sqlite:///x.db')\n"
        "@app.task(name='work')\ndef work(n: int) -> None: ...\n"
    )
    ran = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", "-c", program + end],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_what_a_forked_child_sends_outlives_its_parents_last_connection(tmp_path: Path) -> None:
    """Once the child believed in the parent's locks, and the parent's end took the child's writes with it."""
    program = """
import os, sys, time
from polypool import Polypool
app = Polypool('x', broker='sqlite:///x.db')
@app.task(name='work')
def work(n: int) -> None: ...
work.delay(0)
ready, go = os.pipe(), os.pipe()
if os.fork() == 0:
    work.delay(1)
    os.write(ready[1], b'!')
    parent = os.getppid()
    os.read(go[0], 1)
    while os.getppid() == parent:
        time.sleep(0.01)
    print(*(work.delay(n).id for n in range(20)), flush=True)
else:
    os.read(ready[0], 1)
    work.delay(2)
    app.close()
    os.write(go[1], b'!')
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    ids = ran.stdout.split()
    with line_to(open_engine(f"sqlite:///{tmp_path / 'x.db'}")) as line:
        records = line.ask(Read(ids)).result(60)
    assert len(ids) == 20
    assert all(record is not None for record in records)


def test_a_wait_goes_on_over_a_fork() -> None:
    opened: list[EngineByHand] = []
    store = EngineByHand()

    def make() -> EngineByHand:
        opened.append(store)
        return store

    line = ClientLine(make)
    try:
        line.ask(Put([message("1")])).result(60)
        waiting = line.ask(Await(["1"], 30.0))
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        assert not waiting.is_set()
        assert line.ask(Cancel(["1"])).result(60) == [True]
        assert [record.id for record in waiting.result(60)] == ["1"]
        assert len(opened) == 2
    finally:
        line.close()
