"""How the worker's pools were used, as `polypool status --json` tells it."""

import asyncio
from dataclasses import dataclass

import msgspec


class Pool(msgspec.Struct):
    """A pool of a worker; `memory` is in bytes, of its child processes."""

    kind: str
    children: int
    slots: int
    memory: int | None


class Worker(msgspec.Struct):
    is_alive: bool
    pools: list[Pool]


class Task(msgspec.Struct):
    """What the runs of one task took; `concurrency` and `processors` are averages while it ran."""

    task: str
    pool: str
    runs: int
    retried: int
    concurrency: float | None
    processors: float | None


class Status(msgspec.Struct):
    """Of what `polypool status --json` prints, the part that is wanted here."""

    workers: list[Worker]
    tasks: list[Task]


@dataclass(frozen=True)
class PoolUse:
    """What one pool did: the slots and the CPU cores that were busy on average."""

    kind: str
    processes: int
    slots: int
    runs: int
    retried: int
    busy: float
    cores: float
    memory_bytes: int | None


async def ask_status(polypool: str, broker: str) -> Status:
    """Ask as anybody would, on the command line."""
    asked = await asyncio.create_subprocess_exec(
        polypool, "status", "--broker", broker, "--json", stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await asked.communicate()
    return msgspec.json.decode(printed, type=Status)


def use_of_pools(status: Status) -> list[PoolUse]:
    pools = [pool for worker in status.workers if worker.is_alive for pool in worker.pools]
    return [_use_of(pool, [task for task in status.tasks if task.pool == pool.kind]) for pool in pools]


def _use_of(pool: Pool, tasks: list[Task]) -> PoolUse:
    return PoolUse(
        kind=pool.kind,
        processes=pool.children,
        slots=pool.slots,
        runs=sum(task.runs for task in tasks),
        retried=sum(task.retried for task in tasks),
        busy=sum(task.concurrency or 0.0 for task in tasks),
        cores=sum(task.processors or 0.0 for task in tasks),
        memory_bytes=pool.memory,
    )
