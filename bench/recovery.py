"""SIGKILL of a worker: seconds until everything that it ran runs again, in another worker, with default leases."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from bench.chaos.app import app as chaos_app
from bench.chaos.fleet import Fleet, Post
from bench.chaos.ground import GROUNDS, Ground, ground
from bench.chaos.history import Ran, read
from bench.reading import Extent, Reading, at_most
from bench.stand import until
from polypool import Polypool
from polypool.core.settings import WorkerSettings

TASKS = 40
"""Fewer than one worker has room for."""
LONGER_THAN_ALL_S = 300.0
GOAL_S = 15.0
LEASE_S = float(next(field.default for field in msgspec.structs.fields(WorkerSettings) if field.name == "heartbeat"))


def measure(extent: Extent) -> list[Reading]:
    readings = []
    for engine in GROUNDS:
        with ground(engine) as here:
            samples = [recovery(here) for _ in range(1 if extent.is_quick else extent.repeats)]
        note = f"{TASKS} tasks in two workers, --heartbeat {LEASE_S:g} (the default)"
        readings.append(Reading(f"{engine}: all runs again after", "s", samples, at_most(GOAL_S), note))
    return readings


def recovery(here: Ground) -> float:
    """Once."""
    with tempfile.TemporaryDirectory(prefix="polypool-recovery-") as folder:
        fleet = Fleet(Path(folder), LEASE_S, [Post(0, here.url), Post(1, here.url)], here.backend)
        fleet.history.mkdir()
        app = Polypool("recovery", broker=here.url, backend=here.backend)
        naps = app.task(name="naps")(chaos_app.tasks["naps"].function)
        try:
            for post in fleet.posts:
                fleet.start(post)
            workers = {post.life: post.worker for post in fleet.posts if post.worker is not None}
            for worker in workers.values():
                worker.wait_ready()
            group = naps.map([LONGER_THAN_ALL_S] * TASKS, progress=False)
            until(lambda: len(_begun(fleet, lambda ran: True)) == TASKS, "all tasks to begin", 60)
            life = next(iter(_begun(fleet, lambda ran: True).values())).worker
            lost = _begun(fleet, lambda ran: ran.worker == life)
            at = time.time()
            workers[life].kill()
            again = until(lambda: _all_again(fleet, set(lost), at), "its tasks to run again", 120)
            for id in (f"{group.id}-{index}" for index in range(TASKS)):
                app.result(id).cancel()
            return again - at
        finally:
            app.close()
            fleet.stop()


def _begun(fleet: Fleet, picks: Callable[[Ran], bool]) -> dict[str, Ran]:
    found = (line for line in read(fleet.history, "ran") if isinstance(line, Ran) and line.word == "begun")
    return {ran.id: ran for ran in found if picks(ran)}


def _all_again(fleet: Fleet, ids: set[str], since: float) -> float | None:
    """When the last of them had begun again."""
    again = _begun(fleet, lambda ran: ran.id in ids and ran.at > since)
    return max(ran.at for ran in again.values()) if again.keys() == ids else None
