"""A Flask app whose requests send a task and wait for it."""

import threading
import time
from typing import Any

import inside
from flask import Flask
from marks import echo, held

web = Flask("web")

# While the app is loaded: in the master, where it is preloaded.
assert echo.delay(-1).get(timeout=60) == -1


@web.get("/echo/<int:value>")
def echoed(value: int) -> str:
    result = echo.delay(value)
    inside.note(result.id)
    return str(result.get(timeout=60))


@web.get("/held/<int:value>")
def waited(value: int) -> str:
    result = held.delay(value)
    inside.note(result.id)
    return str(result.get(timeout=60))


@web.get("/killed/<int:value>")
def killed(value: int) -> str:
    """For gevent: a greenlet that is killed while it waits."""
    import gevent

    result = held.delay(value)
    inside.note(result.id)
    waiting = gevent.spawn(result.get)
    while not inside.told()["waits"]:
        gevent.sleep(0.001)
    waiting.kill()
    return str(value)


@web.get("/inside")
def told() -> dict[str, Any]:
    return inside.told()


def _tick() -> None:
    while True:
        inside.tick()
        time.sleep(0.01)


@web.get("/tick")
def ticking() -> str:
    """Begin to tick; in a process patched by gevent the thread is a greenlet and needs the hub."""
    threading.Thread(target=_tick, daemon=True).start()
    return "ticking"
