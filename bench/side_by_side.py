"""polypool beside other queues on the same engine, by a benchmark that belongs to neither: drain, sends, round trip.

The benchmark (its `run.py`, a folder a queue) and the environments of the other queues are named by environment
variables; see `_MISSING`. Engines are private and end with the run; repetitions of all queues take turns.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench.private_postgres import private_postgres
from bench.private_redis import private_redis
from bench.reading import CannotMeasure, Extent, Reading, at_least, at_most

FOLDER, ENGINES, INTERPRETER = "BENCH_PEERS", "BENCH_ENGINES", "BENCH_PY"
WITHIN_S = 400.0
_MISSING = f"""the other queues' benchmark is not here; name its folder and an interpreter that has them:
  {FOLDER}=PATH        holds run.py, bench_common.py and a folder a queue
  {INTERPRETER}=PYTHON    of an environment with the queues; {INTERPRETER}_ARQ, {INTERPRETER}_STREAQ, {INTERPRETER}_SAQ for those that need their own
  {ENGINES}=redis,postgres,rabbitmq   to measure only some"""  # noqa: E501
SENDS = (("enq_plain", "sent one by one", at_least(5_000)), ("enq_fast", "sent in batches", at_least(50_000)))
_UNKNOWN_PEER = '    raise SystemExit(f"unknown peer {peer}")'
_OUR_WORKER = '    if peer == "polypool": return [[W("polypool"), "worker", "tasks:app"]] * procs\n'


class Row(NamedTuple):
    """One queue with its settings. `count` tasks are drained; the slow ones get fewer."""

    peer: str
    options: tuple[str, ...]
    count: int

    @property
    def name(self) -> str:
        return " ".join((self.peer, *self.options))


class Contest(NamedTuple):
    """The rows of one engine, ours first, and what ours is to reach against the best other."""

    rows: tuple[Row, ...]
    ratio: float
    round_trip_ms: float


CONTESTS: Mapping[str, Contest] = {
    "redis": Contest(
        (
            Row("polypool", (), 40_000),
            Row("taskiq", ("conc=100",), 4_000),
            Row("dramatiq", ("threads=4", "dq_prefetch=200"), 6_000),
            Row("saq", ("conc=30",), 4_000),
            Row("arq", ("conc=100", "poll=0.01"), 4_000),
            Row("streaq", ("conc=100",), 3_000),
        ),
        ratio=10,
        round_trip_ms=0.8,
    ),
    "postgres": Contest(
        (
            Row("polypool", (), 40_000),
            Row("pgqueuer", ("batch=1000",), 20_000),
            Row("procrastinate", ("conc=10", "analyze=1"), 3_000),
        ),
        ratio=1.2,
        round_trip_ms=3.0,
    ),
    "rabbitmq": Contest(
        (
            Row("polypool", (), 20_000),
            Row("celery", ("pool=solo", "conc=1", "prefetch=64"), 5_000),
            Row("dramatiq", ("threads=4", "dq_prefetch=200"), 8_000),
            Row("taskiq", ("conc=100", "qos=500"), 6_000),
        ),
        ratio=2,
        round_trip_ms=2.0,
    ),
}


def measure(extent: Extent) -> list[Reading]:
    if FOLDER not in os.environ or INTERPRETER not in os.environ:
        raise CannotMeasure(_MISSING)
    engines = os.environ.get(ENGINES, ",".join(CONTESTS)).split(",")
    if unknown := set(engines) - set(CONTESTS):
        raise CannotMeasure(f"{ENGINES} knows {', '.join(CONTESTS)}, not {', '.join(sorted(unknown))}")
    readings: list[Reading] = []
    with _stage(Path(os.environ[FOLDER])) as stage:
        for engine in engines:
            readings += _contest(stage, engine, CONTESTS[engine], extent)
    return readings


def _contest(stage: Path, engine: str, contest: Contest, extent: Extent) -> list[Reading]:
    drained: dict[Row, list[dict[str, float]]] = {row: [] for row in contest.rows}
    round_trips: list[float] = []
    with _engine(engine) as environment:
        for _ in range(min(extent.repeats, 3)):
            for row, samples in drained.items():
                count = extent.pick(full=row.count, quick=600)
                samples.append(
                    _run(stage, engine, "S1", row, environment, f"n_plain={count // 4}", "no_e2e=1", n=count)
                )
            ours = contest.rows[0]
            round_trips.append(_run(stage, engine, "S3", ours, environment, n=extent.pick(full=500, quick=50))["p50"])
    return _readings(engine, contest, drained, round_trips)


def _readings(
    engine: str, contest: Contest, drained: Mapping[Row, Sequence[Mapping[str, float]]], round_trips: list[float]
) -> list[Reading]:
    ours, *others = contest.rows
    rates = {row: [sample["drain"] for sample in samples] for row, samples in drained.items()}
    best = [max(rates[row][i] for row in others) for i in range(len(round_trips))]
    ratios = [mine / other for mine, other in zip(rates[ours], best, strict=True)]
    readings = [Reading(f"{engine}: {row.name}, drain", "tasks/s", rates[row]) for row in contest.rows]
    readings.append(Reading(f"{engine}: drain, ratio to the best other", "×", ratios, at_least(contest.ratio)))
    for row in contest.rows:
        for key, what, reach in SENDS:
            if all(key in sample for sample in drained[row]):
                samples = [sample[key] for sample in drained[row]]
                is_held_to = row is ours and engine == "redis"
                name = f"{engine}: {row.peer}, {what}"
                readings.append(Reading(name, "tasks/s", samples, reach if is_held_to else None))
    readings.append(Reading(f"{engine}: round trip p50", "ms", round_trips, at_most(contest.round_trip_ms)))
    return readings


def _run(
    stage: Path, engine: str, scenario: str, row: Row, environment: Mapping[str, str], *options: str, n: int
) -> dict[str, float]:
    command = [os.environ[INTERPRETER], "run.py", row.peer, engine, scenario, *row.options, *options, "--n", str(n)]
    done = subprocess.run(
        command,
        check=False,
        cwd=stage,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
    )
    if done.returncode != 0:
        raise CannotMeasure(f"{row.name} on {engine}: {done.stderr[-1500:]}")
    line = json.loads(done.stdout.splitlines()[-1])
    if line["error"]:
        raise CannotMeasure(f"{row.name} on {engine}: {line['error']}")
    median: dict[str, float] = line["median"]
    return median


@contextmanager
def _stage(folder: Path) -> Iterator[Path]:
    """A copy of the benchmark with polypool among its queues."""
    if not (folder / "run.py").exists():
        raise CannotMeasure(f"{folder} holds no run.py\n{_MISSING}")
    with tempfile.TemporaryDirectory(prefix="polypool-bench-peers-") as temporary:
        stage = Path(temporary, "peers")
        shutil.copytree(folder, stage)
        shutil.copytree(Path(__file__).with_name("peers") / "polypool_", stage / "polypool_")
        program = stage / "run.py"
        text = program.read_text(encoding="utf-8")
        if _UNKNOWN_PEER not in text:
            raise CannotMeasure(f"{folder / 'run.py'} is not the one this was written for: polypool cannot join in")
        program.write_text(text.replace(_UNKNOWN_PEER, _OUR_WORKER + _UNKNOWN_PEER), encoding="utf-8")
        yield stage


@contextmanager
def _engine(name: str) -> Iterator[dict[str, str]]:
    """Private servers, as the benchmark's environment names them."""
    ours: dict[str, Any] = {f"{INTERPRETER}_POLYPOOL": sys.executable}
    with ExitStack() as servers:
        if name in ("redis", "rabbitmq"):
            ours["BENCH_REDIS"] = servers.enter_context(private_redis())
        if name == "rabbitmq":
            from tests.engines import rabbitmq

            node = rabbitmq.Server()
            servers.callback(node.remove)
            ours["BENCH_AMQP"] = f"{node.url}/"
        if name == "postgres":
            ours["BENCH_PG"] = servers.enter_context(private_postgres())
        yield ours
