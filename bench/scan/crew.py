"""The processes of one case: engine aside, a provider, a web API, workers and users; ended with the block."""

import json
import os
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from bench.celery import celery_python
from bench.scan import app
from bench.scan.asking import VISION_BODY
from bench.scan.plan import JOIN_PER_SECOND, Plan
from bench.stand import ROOT, WorkerProcess, until

WITHIN_S = 60.0
CELERY = ("--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "INFO")
"""With INFO, as it says only then that it is ready."""


class Crew:
    """All write to logs in a folder of their own, and are asked nothing that could hold them up."""

    def __init__(self, plan: Plan, broker: str) -> None:
        self._plan = plan
        self._broker = broker
        self._exits = ExitStack()
        self.processes: dict[str, WorkerProcess] = {}

    def __enter__(self) -> Self:
        self.folder = Path(self._exits.enter_context(tempfile.TemporaryDirectory(prefix="polypool-bench-scan-")))
        self.environment = {
            **os.environ,
            "POLYPOOL_BROKER": self._broker,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
            app.SCALE: str(self._plan.scale),
            app.REQUESTS: str(self._plan.requests_per_minute),
            app.TOKENS: str(self._plan.tokens_per_minute),
        }
        try:
            limits = ["--rpm", str(self._plan.requests_per_minute), "--tpm", str(self._plan.tokens_per_minute)]
            scale = ["--scale", str(self._plan.scale)]
            self.start("provider", sys.executable, "-m", "examples.provider", "--port", "0", *scale, *limits)
            self.provider = self.address_of("provider").removesuffix("/v1")
            self.environment[app.PROVIDER] = f"{self.provider}/v1"
            self._wake_provider()
        except BaseException:
            self._exits.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._exits.close()

    def start(self, name: str, *command: str) -> WorkerProcess:
        started = WorkerProcess(list(command), self.environment, self.folder / f"{name}.log")
        self._exits.callback(started.stop)
        self.processes[name] = started
        return started

    def start_polypool(self) -> None:
        """Workers whose asyncio pool has room for what the provider may have in flight and what only waits."""
        polypool = str(Path(sys.executable).with_name("polypool"))
        slots = f"asyncio={max(self._plan.users, 100)}"
        for number in range(self._plan.workers):
            self.start(f"worker {number + 1}", polypool, "worker", "bench.scan.app:app", "--pool", slots)
        for worker in self.workers():
            worker.wait_ready(WITHIN_S)
        self.start("web", sys.executable, "-m", "bench.scan.api")
        joining = str(JOIN_PER_SECOND * self._plan.scale)
        command = ["-m", "bench.scan.load", self.address_of("web"), str(self._plan.users), joining]
        self.start("users", sys.executable, *command, str(self._plan.length_s))

    def start_celery(self, pool: str, slots: int, amqp: str, redis: str) -> None:
        """Celery on RabbitMQ, results in Redis: one worker, and users that talk to it without a web API."""
        python = celery_python()
        self.environment["BENCH_REDIS"] = redis
        self.environment["BENCH_AMQP"] = f"{amqp}/"
        served = ["-m", "celery", "-A", "bench.peers.celery_scan", "worker", "-P", pool, "-c", str(slots), *CELERY]
        worker = self.start("worker", python, *served)
        until(lambda: worker.said(r"ready\."), "Celery to be ready", WITHIN_S, worker)
        command = ["-m", "bench.peers.celery_scan", str(self._plan.users), str(JOIN_PER_SECOND * self._plan.scale)]
        self.start("users", python, *command, str(self._plan.length_s))

    def workers(self) -> list[WorkerProcess]:
        return [process for name, process in self.processes.items() if name.startswith("worker")]

    def address_of(self, name: str) -> str:
        """What a server prints as its first line once it listens."""
        process = self.processes[name]
        until(lambda: process.said(r"^http://\S+\n"), f"the {name} to listen", WITHIN_S, process)
        return process.log.read_text(encoding="utf-8").split()[0]

    def _wake_provider(self) -> None:
        """The first picture that it looks at takes it long, and would hold up the first users."""
        body = json.dumps({**json.loads(VISION_BODY), "stream": True}).encode()
        headers = {"authorization": "Bearer bench", "content-type": "application/json"}
        request = urllib.request.Request(f"{self.provider}/v1/chat/completions", body, headers)
        urllib.request.urlopen(request, timeout=WITHIN_S).close()

    def stats(self) -> dict[str, int]:
        """What the provider counted."""
        with urllib.request.urlopen(f"{self.provider}/stats", timeout=WITHIN_S) as answer:
            counted: dict[str, int] = json.load(answer)
        return counted

    def halve(self) -> float:
        """Have the provider let half as much through from now on."""
        body = {"requests": self._plan.requests_per_minute // 2, "tokens": self._plan.tokens_per_minute // 2}
        request = urllib.request.Request(f"{self.provider}/limits", json.dumps(body).encode(), method="PUT")
        urllib.request.urlopen(request, timeout=WITHIN_S).close()
        return time.monotonic()
