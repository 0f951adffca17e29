"""A fresh engine of any kind, as the app `marks` is told of it: by its environment."""

import contextlib
from collections.abc import Iterator

from tests.engines import postgres, redis

KINDS = ("sqlite", "redis", "postgres")
"""What runs on every engine runs on these."""


@contextlib.contextmanager
def opened(kind: str) -> Iterator[dict[str, str]]:
    """The environment of an engine that nobody used, gone after the block."""
    with contextlib.ExitStack() as closing:
        if kind == "redis":
            url = redis.fresh_url()
            closing.callback(redis.clean, url)
        elif kind == "postgres":
            url = postgres.empty_schema(closing.enter_context(postgres.server_url()))
        else:
            url = "sqlite:///marks.db"
        yield {"MARKS_BROKER": url}


def connections(url: str) -> int:
    """How many an engine has, in its own words; 0 for one that has none to count."""
    kind = url.partition(":")[0]
    if kind == "redis":
        with redis.client(url) as client:
            return len(client.client_list()) - 1
    if kind == "postgresql":
        others = "backend_type = 'client backend' AND pid <> pg_backend_pid()"
        return int(postgres.execute(url, f"SELECT count(*) FROM pg_stat_activity WHERE {others}")[0][0])
    return 0
