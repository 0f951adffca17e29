"""A crowd: so many chains of waiting steps at once, and another one for each that ends; by polypool and by Celery."""

import asyncio
import json
import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench.celery import LEAN, celery_python, stop
from bench.private_rabbitmq import private_rabbitmq
from bench.private_redis import private_redis
from bench.reading import CannotMeasure
from bench.roundtrip import quantile
from bench.stand import ROOT, Stand
from bench.tasks import app_of
from polypool import chain

STEPS = 4
MILLI = 1e3


class Plan(NamedTuple):
    """So many chains at once for so many seconds, the first `warm` of which do not count; each step waits `step`."""

    chains: int
    seconds: float
    warm: float
    step: float


class Crowd(NamedTuple):
    """Chains a second, and by how much the middle one took longer than its steps waited."""

    rate: float
    overhead_ms: float


def crowd(plan: Plan, broker: str) -> Crowd:
    """One polypool worker, whose asyncio pool has room for all of them."""
    with Stand(broker) as stand:
        worker = stand.worker("bench.tasks:ON_ASYNCIO", "--pool", f"asyncio={max(plan.chains, 1000)}")
        worker.wait_ready()
        return _crowd_of(plan, *asyncio.run(_all(plan, stand.broker)))


async def _all(plan: Plan, broker: str) -> tuple[list[float], float]:
    app = app_of("asyncio", broker=broker)
    wait = app.tasks["wait"]
    took: list[float] = []
    began = time.perf_counter()
    end = began + plan.seconds

    async def use(user: int) -> None:
        await asyncio.sleep(plan.warm / 2 * user / plan.chains)  # or they would come and go in waves
        while (sent := time.perf_counter()) < end:
            steps = (wait.s(plan.step) for _ in range(STEPS - 1))
            await (await chain(wait.s(user, plan.step), *steps).adelay())
            now = time.perf_counter()
            if began + plan.warm < now < end:
                took.append(now - sent)

    users = [asyncio.create_task(use(user)) for user in range(plan.chains)]
    await asyncio.gather(*users)
    app.close()
    return sorted(took), plan.seconds - plan.warm


def celery_crowd(plan: Plan, slots: int) -> Crowd:
    """Celery's gevent pool with so many slots, on RabbitMQ, results in Redis."""
    python = celery_python()
    with private_redis() as redis, private_rabbitmq() as amqp, TemporaryDirectory(prefix="polypool-bench-") as folder:
        environment = {**os.environ, "BENCH_REDIS": redis, "BENCH_AMQP": f"{amqp}/", "PYTHONPATH": str(ROOT)}
        working = [python, "-m", "celery", "-A", "bench.peers.celery_chain", "worker", "-P", "gevent", "-c", str(slots)]
        log = Path(folder, "log")
        with log.open("wb") as output:
            worker = subprocess.Popen(
                [*working, *LEAN], env=environment, cwd=folder, stdout=output, stderr=output, process_group=0
            )
        try:
            words = [str(plan.chains), str(plan.seconds), str(plan.warm), str(plan.step)]
            sending = [python, "-m", "bench.peers.celery_chain", *words]
            done = subprocess.run(
                sending, env=environment, cwd=folder, check=False, capture_output=True, text=True, timeout=300
            )
        finally:
            with suppress(ProcessLookupError):
                stop(worker)
        if done.returncode != 0:
            raise CannotMeasure(f"Celery's sender: {done.stderr[-1500:]}\n{log.read_text(errors='replace')[-1500:]}")
        told = json.loads(done.stdout)
        return _crowd_of(plan, told["took"], told["seconds"])


def _crowd_of(plan: Plan, took: list[float], seconds: float) -> Crowd:
    if not took:
        raise CannotMeasure(f"not one of {plan.chains} chains ended within {plan.seconds:g} s")
    return Crowd(len(took) / seconds, (quantile(took, 0.5) - STEPS * plan.step) * MILLI)
