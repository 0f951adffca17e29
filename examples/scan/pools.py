"""How the worker's pools were used, as `polypool status --json` tells it."""

import asyncio
from collections.abc import Mapping
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
    """What the runs of one task took on average, in seconds; CPU where it was measured."""

    task: str
    pool: str
    runs: int
    retried: int
    mean_wall: float | None
    cpu_per_run: float | None


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


async def ask_status(polypool: str, environment: Mapping[str, str]) -> Status:
    """Ask as anybody would, on the command line; POLYPOOL_BROKER says which engine."""
    asked = await asyncio.create_subprocess_exec(
        polypool, "status", "--json", env=environment, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await asked.communicate()
    return msgspec.json.decode(printed, type=Status)


def use_of_pools(status: Status, elapsed_s: float) -> list[PoolUse]:
    """What each pool did in so many seconds, its busy slots by Little's law: runs a second × seconds a run."""
    pools = [pool for worker in status.workers if worker.is_alive for pool in worker.pools]
    return [_use_of(pool, [task for task in status.tasks if task.pool == pool.kind], elapsed_s) for pool in pools]


def _use_of(pool: Pool, tasks: list[Task], elapsed_s: float) -> PoolUse:
    return PoolUse(
        kind=pool.kind,
        processes=pool.children,
        slots=pool.slots,
        runs=sum(task.runs for task in tasks),
        retried=sum(task.retried for task in tasks),
        busy=sum(task.runs * (task.mean_wall or 0.0) for task in tasks) / elapsed_s,
        cores=sum(task.runs * (task.cpu_per_run or 0.0) for task in tasks) / elapsed_s,
        memory_bytes=pool.memory,
    )
