"""What a web process knows of itself, told to whoever asks for /inside."""

import os
import sys
import threading
import time
from typing import Any

from marks import app

SENT = "sent.txt"
DRIVERS = ("gevent", "eventlet", "redis", "asyncpg", "aio_pika", "aiormq", "pika", "amqp")

ticks: list[float] = [0.0, 0.0, time.monotonic()]
"""How often the ticker came to its turn, its longest pause in seconds, and when it was last there."""


def note(id: str) -> None:
    """Leave a line about a task that was sent; one write, so that those of many processes never mix."""
    file = os.open(SENT, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, f"{id}\n".encode())
    finally:
        os.close(file)


def tick() -> None:
    now = time.monotonic()
    ticks[:] = [ticks[0] + 1, max(ticks[1], now - ticks[2]), now]


def told() -> dict[str, Any]:
    connection = app._client._connection
    return {
        "pid": os.getpid(),
        "ticks": ticks[0],
        "longest_pause": ticks[1],
        "waits": len(connection._answering) if connection is not None else 0,
        "threads": sum(thread.name == "polypool-Connection._serve" for thread in threading.enumerate()),
        "of_a_worker": [name for name in sys.modules if name.startswith(("polypool.pools", "polypool.worker"))],
        "drivers": [name for name in DRIVERS if name in sys.modules],
    }
