"""Watching a case while it runs: samples of what its processes use and what the provider counts, and the chains."""

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from bench.processes import PROC, cpu, pss, tree
from bench.reading import CannotMeasure
from bench.scan.crew import Crew
from bench.scan.figures import Chain, Course, Sample
from bench.scan.plan import Plan

EVERY_S = 0.5
ESTABLISHED = "01"


def course_of(plan: Plan, crew: Crew, engines: Sequence[str], chains: Path) -> Course:
    """Watch to the end of a case whose users have just begun; `chains` is where they write."""
    began = time.monotonic()
    halved, samples = None, []
    counts_from = began + plan.warm_s
    ends = counts_from + plan.seconds
    while (now := time.monotonic()) < ends:
        if plan.halve_at is not None and halved is None and now >= counts_from + plan.halve_at:
            halved = crew.halve()
        samples.append(sample(crew, engines))
        _check(crew)
        time.sleep(EVERY_S)
    samples.append(sample(crew, engines))
    return Course(read(chains), samples, began, counts_from, ends, halved)


def sample(crew: Crew, engines: Sequence[str]) -> Sample:
    counted, now = crew.stats(), time.monotonic()
    memory = sum(pss(worker.pid) for worker in crew.workers())
    pids = {name: tree(process.pid) for name, process in crew.processes.items()}
    used = {name: sum(map(cpu, several)) for name, several in pids.items()}
    connected = {name: connections(several, engines) for name, several in pids.items() if name[:3] in ("wor", "web")}
    return Sample(now, counted["requests"], counted["refused"], counted["in_flight"], memory, connected, used)


def _check(crew: Crew) -> None:
    for name, process in crew.processes.items():
        if not process.is_running and name != "users":
            raise CannotMeasure(f"the {name} ended by itself. Its log ends so:\n{process.last_words()}")


def read(path: Path) -> list[Chain]:
    """What the users wrote. A half last line is left out."""
    chains = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        fields = line.removesuffix("\n").split("\t")
        if line.endswith("\n") and len(fields) == 4:
            chains.append(Chain(float(fields[0]), float(fields[1]), float(fields[2]), fields[3]))
    if not chains:
        raise CannotMeasure(f"not one chain ended. The users' log ends so:\n{path.read_text(errors='replace')[-2000:]}")
    return chains


def connections(pids: list[int], engines: Sequence[str]) -> int:
    """TCP connections of these processes to the ports of an engine and its backend; a file has none."""
    ports = {port for engine in engines if (port := urlsplit(engine).port)}
    if not ports:
        return 0
    own = set()
    for pid in pids:
        with suppress(OSError):
            for entry in os.scandir(PROC / str(pid) / "fd"):
                with suppress(OSError):
                    own.add(os.readlink(entry.path).removeprefix("socket:[").removesuffix("]"))
    rows = [
        row.split()
        for table in ("tcp", "tcp6")
        for row in (PROC / "net" / table).read_text(encoding="ascii").splitlines()[1:]
    ]
    return sum(row[3] == ESTABLISHED and row[9] in own and int(row[2].rpartition(":")[2], 16) in ports for row in rows)
