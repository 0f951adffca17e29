"""What the demo shows: the moving picture, and what each pool did."""

import io
import time

import httpx
import msgspec
import pytest
from rich.console import Console

from examples.photographs import CATALOGUE
from examples.scan.gauges import Allowance, Gauges, Reading
from examples.scan.live import Scene, picture
from examples.scan.pools import Status, use_of_pools
from examples.scan.stages import STAGES
from examples.scan.users import Chain, Crowd

COFFEE, COINS = CATALOGUE[:2]
ANSWER = {"item": COFFEE.item, "character": "Crock", "answer": "Crockery goes into residual waste."}


def scene() -> Scene:
    crowd = Crowd(httpx.AsyncClient(), [])
    now = time.monotonic()
    crowd.under_way |= {Chain(COFFEE, now), Chain(COINS, now, stage_ended_at={"shrink": now})}
    crowd.ended += [
        Chain(COFFEE, now - 2, ended_at=now, result=dict(ANSWER)),
        Chain(COINS, now - 2, ended_at=now, error="no answer within 120 s"),
    ]
    gauges = Gauges(worker_pid=1, provider=httpx.AsyncClient(), memory_bytes=123_000_000, refused=7)
    return Scene(crowd, gauges, users=3, scale=10, started_at=now, seconds=35, page="http://here/")


def test_the_picture_shows_where_chains_are_what_was_answered_and_what_failed() -> None:
    console = Console(file=io.StringIO(), width=100, record=True)
    console.print(picture(scene()))
    shown = console.export_text()
    for words in (
        *STAGES,
        "2 chains answered, 1 failed",
        "123 MB",
        "7 × 429",
        "1 wait for their turn",
        "http://here/",
        "Crock",
        "no answer within 120 s",
    ):
        assert words in shown


def test_a_chain_is_in_the_stage_after_the_last_one_that_ended() -> None:
    assert scene().in_stage() == {"shrink": 1, "vision": 1}


def test_the_share_of_the_limit_is_that_of_the_one_used_most_while_all_users_were_there() -> None:
    allowed = Allowance(requests=10, tokens=1000)
    readings = [Reading(0, 0, 0), Reading(10, 500, 0), Reading(20, 550, 9500), Reading(30, 900, 99_000)]
    assert allowed.share_used(readings, 10, 20) == pytest.approx(0.95)
    assert allowed.share_used(readings, 20, 29) is None


def test_a_pools_use_sums_up_its_tasks_over_the_whole_run() -> None:
    pool = {"kind": "asyncio", "children": 1, "slots": 1000, "running": 3, "memory": 50_000_000}
    task = {"pool": "asyncio", "retried": 1, "failed": 0}
    tasks = [
        task | {"task": "vision", "runs": 100, "mean_wall": 2.0, "cpu_per_run": 0.01},
        task | {"task": "answer", "runs": 50, "mean_wall": 1.0, "cpu_per_run": None},
        task | {"task": "rule", "pool": "threads", "runs": 9, "mean_wall": 1.0, "cpu_per_run": 1.0},
    ]
    printed = msgspec.json.encode({"workers": [{"is_alive": True, "pools": [pool]}], "tasks": tasks})
    (use,) = use_of_pools(msgspec.json.decode(printed, type=Status), elapsed_s=10)
    assert (use.kind, use.processes, use.runs, use.retried) == ("asyncio", 1, 150, 2)
    assert use.busy == pytest.approx(25)
    assert use.cores == pytest.approx(0.1)
