"""The app of a chaos run, loaded by workers and producers of either release.

A run's value names the run: the id and the token of its delivery. So the ending that an engine keeps tells which run
wrote it.
"""

import asyncio
import ctypes
import os
import time

import polypool
from bench.chaos.history import FOLDER, History, Ran
from polypool import Polypool, current
from polypool.core.running import running

BROKER, WORKER, SOURCE = "CHAOS_BROKER", "CHAOS_WORKER", "CHAOS_SOURCE"
"""Environment variables: the engine's URL; the life of a worker; the folder that polypool must come from."""
LIVES = 100
"""Runs that an innocent may lose: kills as dense as these hit some of them more than three times."""
SPIN_LIMIT_S = 1.0

POISON = {"exits", "exits_in_thread", "crashes", "spins", "spins_in_thread"}
"""Tasks that end their process, or never end by themselves."""
SPINNING = {"spins", "spins_in_thread"}
WARD = "stands_by"
"""An innocent with the default number of lives."""

if SOURCE in os.environ and not (polypool.__file__ or "").startswith(os.environ[SOURCE]):
    raise RuntimeError(f"polypool comes from {polypool.__file__} and not from {os.environ[SOURCE]}")

app = Polypool("chaos", broker=os.environ.get(BROKER, "sqlite:///chaos.db"), max_lost=LIVES)
history = History(os.environ.get(FOLDER, "."), "ran")


def say(word: str, given: tuple[str, ...] = ()) -> str:
    """Write down where the running task is, and what it was given by others; what names the run."""
    here = running.get()
    assert here is not None, "only a running task says where it is"
    task = current.task
    history.write(
        Ran(word, time.time(), here.message.id, task, here.run, os.getpid(), os.environ.get(WORKER, ""), given)
    )
    return f"{here.message.id} {here.run}"


@app.task(name="naps")
async def naps(seconds: float) -> str:
    say("begun")
    await asyncio.sleep(seconds)
    return say("ended")


@app.task(name="dozes")
def dozes(seconds: float) -> str:
    say("begun")
    time.sleep(seconds)
    return say("ended")


@app.task(name="grinds", pool="prefork")
def grinds(seconds: float) -> str:
    say("begun")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))
    return say("ended")


@app.task(name="tries_again", autoretry_for=(OSError,), retry_backoff=0.2)
async def tries_again(seconds: float) -> str:
    say("begun")
    await asyncio.sleep(seconds)
    here = running.get()
    if here is not None and here.message.retries == 0:
        say("again")
        raise OSError("the first time always fails")
    return say("ended")


@app.task(name=WARD, max_lost=3)
async def stands_by(seconds: float) -> str:
    say("begun")
    await asyncio.sleep(seconds)
    return say("ended")


@app.task(name="hands_on")
async def hands_on(given: str, seconds: float) -> str:
    """A step: gets what names the run before it."""
    say("begun", (given,))
    await asyncio.sleep(seconds)
    return say("ended")


@app.task(name="carries_on")
def carries_on(given: str, seconds: float) -> str:
    say("begun", (given,))
    time.sleep(seconds)
    return say("ended")


@app.task(name="joins", pool="prefork")
def joins(given: list[str], seconds: float) -> str:
    """The body of a chord."""
    say("begun", tuple(given))
    time.sleep(seconds)
    return say("ended")


@app.task(name="exits", max_lost=3)
async def exits(seconds: float) -> str:
    say("begun")
    await asyncio.sleep(seconds)
    os._exit(7)


@app.task(name="exits_in_thread", max_lost=3)
def exits_in_thread(seconds: float) -> str:
    say("begun")
    time.sleep(seconds)
    os._exit(7)


@app.task(name="crashes", pool="prefork", max_lost=3)
def crashes(seconds: float) -> str:
    say("begun")
    time.sleep(seconds)
    return str(ctypes.string_at(0))


@app.task(name="spins", pool="prefork", timeout=SPIN_LIMIT_S)
def spins(seconds: float) -> str:
    return _spin()


@app.task(name="spins_in_thread", timeout=SPIN_LIMIT_S)
def spins_in_thread(seconds: float) -> str:
    return _spin()


def _spin() -> str:
    say("begun")
    while True:
        pass
