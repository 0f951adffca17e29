"""A fresh engine of any kind, as the app `marks` is told of it: by its environment."""

import contextlib
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil

from tests.engines import postgres, rabbitmq, redis

KINDS = ("sqlite", "redis", "postgres", "rabbitmq")
"""What runs on every engine runs on these."""


@contextlib.contextmanager
def opened(kind: str) -> Iterator[dict[str, str]]:
    """The environment of an engine that nobody used, gone after the block."""
    with contextlib.ExitStack() as closing:
        beside: dict[str, str] = {}
        if kind in ("redis", "rabbitmq"):
            url = redis.fresh_url()
            closing.callback(redis.clean, url)
            if kind == "rabbitmq":
                beside = {"POLYPOOL_BACKEND": url}
                url = rabbitmq.fresh_url()
        elif kind == "postgres":
            url = postgres.empty_schema(closing.enter_context(postgres.server_url()))
        else:
            url = "sqlite:///marks.db"
        yield {"MARKS_BROKER": url, **beside}


def connections(url: str) -> int:
    """How many an engine has, in its own words where it is quick to say so; 0 for one that has none to count."""
    kind = url.partition(":")[0]
    if kind == "redis":
        with redis.client(url) as client:
            return len(client.client_list()) - 1
    if kind == "postgresql":
        others = "backend_type = 'client backend' AND pid <> pg_backend_pid()"
        return int(postgres.execute(url, f"SELECT count(*) FROM pg_stat_activity WHERE {others}")[0][0])
    if kind == "amqp":
        there = urlsplit(url).port or 5672
        lines = [line for line in psutil.net_connections("tcp") if line.raddr and line.status == "ESTABLISHED"]
        return sum(line.raddr.port == there for line in lines)
    return 0
