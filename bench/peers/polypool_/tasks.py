"""polypool in the clothes of the peers' benchmark: its tasks, its app for `polypool worker tasks:app`, its client.

Copied by bench/side_by_side.py beside the other queues' folders, whose `bench_common` has the task bodies.
"""

from typing import Any

import bench_common as common  # type: ignore[import-not-found]

from polypool import Polypool

PLAIN_CLIENT = True
POOL = common.OPTS.get("pool", "asyncio")
BROKERS = {
    "redis": common.REDIS,
    "postgres": common.PG,
    "rabbitmq": common.AMQP,
    "sqlite": f"sqlite:///{common.RUN_DIR}/queue.db",
}
BACKENDS = {"rabbitmq": {"backend": common.REDIS}}

app = Polypool("bench", broker=BROKERS[common.BROKER], **BACKENDS.get(common.BROKER, {}))
bodies = common.ASYNC if POOL == "asyncio" else common.SYNC
tasks: dict[str, Any] = {name: app.task(name=name, pool=POOL)(function) for name, function in bodies.items()}


class Client:
    """What the benchmark's client asks of every queue."""

    def open(self) -> None:
        """The first send opens."""

    def close(self) -> None:
        app.close()

    def send1(self, task: str, args: tuple[Any, ...]) -> None:
        tasks[task].delay(*args)

    def send_many(self, task: str, argslist: list[tuple[Any, ...]]) -> None:
        tasks[task].starmap(argslist, progress=False)

    def roundtrip(self) -> None:
        tasks["echo"].delay().get(timeout=20)
