"""The app that the gateway's whole tests serve."""

import asyncio
import os
from pathlib import Path

from polypool import Polypool, Signature, current

app = Polypool("desk", broker=os.environ["MARKS_BROKER"])
GATE = "gate"


@app.task(public=True)
async def count(to: int) -> int:
    """Tells the numbers one after the other."""
    for number in range(to):
        current.emit(number)
        await asyncio.sleep(0.002)
    return to


@app.task(public=True)
async def held(value: int) -> int:
    """Ends once there is a file `gate`."""
    current.emit("begun")
    while not Path(GATE).exists():
        await asyncio.sleep(0.02)
    current.emit("let go")
    return value


@app.task
async def double(value: int) -> int:
    return 2 * value


@app.task(public=True)
def doubled_twice(value: int) -> Signature[int]:
    """Returns a workflow of tasks that are not public."""
    return double.s(value) | double.s()
