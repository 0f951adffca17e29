"""A chord over 100,000 no-ops beside 100,000 plain ones, in turn, with the memory of all that take part.

python -m bench chord redis --tasks 1000000     the chord alone, so large; the default engines: redis and sqlite
"""

import json
import os
import subprocess
import sys
import time
from typing import NamedTuple

from bench.anywhere import another, anywhere
from bench.processes import pss
from bench.reading import CannotMeasure, Extent, Reading, at_least, at_most
from bench.stand import ROOT, Stand

ENGINES = ("redis", "sqlite")
SENDER_MB, WORKER_MB, RATIO = 100, 150, 0.7
LOOK_EVERY_S = 0.25
WITHIN_S = 600.0


class Passage(NamedTuple):
    """Tasks from the first send to the last end."""

    rate: float
    sender_mb: float
    worker_mb: float


def measure(extent: Extent) -> list[Reading]:
    readings: list[Reading] = []
    for engine in (extent.engine,) if extent.engine else ENGINES:
        with anywhere(engine) as url:
            readings += _alone(engine, url, extent.tasks) if extent.tasks else _in_turn(engine, url, extent)
    return readings


def _in_turn(engine: str, url: str, extent: Extent) -> list[Reading]:
    count = extent.pick(full=100_000, quick=3_000)
    plain: list[Passage] = []
    chords: list[Passage] = []
    for _ in range(min(extent.repeats, 3)):
        plain.append(passage("plain", count, another(url)))
        chords.append(passage("chord", count, another(url)))
    ratios = [one.rate / other.rate for one, other in zip(chords, plain, strict=True)]
    return [
        Reading(f"{engine}: {count:,} no-ops by starmap, sent and ended", "tasks/s", [one.rate for one in plain]),
        Reading(f"{engine}: a chord over {count:,} no-ops", "tasks/s", [one.rate for one in chords]),
        Reading("  ratio", "×", ratios, at_least(RATIO)),
        *_memory(chords),
    ]


def _alone(engine: str, url: str, count: int) -> list[Reading]:
    one = passage("chord", count, another(url))
    return [Reading(f"{engine}: a chord over {count:,} no-ops", "tasks/s", [one.rate]), *_memory([one])]


def _memory(chords: list[Passage]) -> list[Reading]:
    return [
        Reading("  sender, at its largest", "MB RSS", [one.sender_mb for one in chords], at_most(SENDER_MB)),
        Reading("  whole worker, at its largest", "MB PSS", [one.worker_mb for one in chords], at_most(WORKER_MB)),
    ]


def passage(form: str, count: int, broker: str) -> Passage:
    """Sent by a process of its own to a worker that is there already."""
    with Stand(broker) as stand:
        worker = stand.worker("bench.tasks:ON_ASYNCIO")
        worker.wait_ready()
        command = [sys.executable, "-m", "bench.sender", form, str(count)]
        environment = {**os.environ, "POLYPOOL_BROKER": broker, "PYTHONPATH": str(ROOT)}
        sender = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            peak = _watched(sender, worker.pid)
            told = _told(sender)
            seen = stand.wait_marked(count if form == "plain" else count + 1, WITHIN_S, worker)
        finally:
            sender.kill()
            sender.wait()
        if told["value"] != count:
            raise AssertionError(f"the body counted {told['value']} of {count}")
        return Passage(count / (seen.last_end - told["began"]), told["peak_mb"], peak)


def _watched(sender: subprocess.Popen[bytes], worker: int) -> float:
    """The most memory of a worker while this sender goes on."""
    peak, end = 0.0, time.monotonic() + WITHIN_S
    while sender.poll() is None:
        if time.monotonic() > end:
            raise CannotMeasure(f"the sender was still there after {WITHIN_S:g} s")
        peak = max(peak, pss(worker))
        time.sleep(LOOK_EVERY_S)
    return peak


def _told(sender: subprocess.Popen[bytes]) -> dict[str, float]:
    output, errors = sender.communicate()
    if sender.returncode != 0:
        raise CannotMeasure(f"the sender: {errors.decode(errors='replace')[-1500:]}")
    told: dict[str, float] = json.loads(output.splitlines()[-1])
    return told
