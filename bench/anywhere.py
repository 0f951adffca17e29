"""Which engine a figure is measured on: one of the bench's own by its name, or whatever a URL leads to."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from bench.private_postgres import private_postgres
from bench.private_rabbitmq import private_rabbitmq
from bench.private_redis import private_redis

BACKEND = "POLYPOOL_BACKEND"


@contextmanager
def anywhere(name: str) -> Iterator[str]:
    """A URL: of a private server or file that ends with the block (`sqlite`, `redis`, `postgres`; `rabbitmq`, with a
    Redis as its backend, which the environment names), or the one given."""
    if name == "redis":
        with private_redis() as url:
            yield url
    elif name == "postgres":
        with private_postgres() as url:
            yield url
    elif name == "rabbitmq":
        with private_redis() as backend, private_rabbitmq() as url:
            before = os.environ.get(BACKEND)
            os.environ[BACKEND] = f"{backend}?prefix=behind"
            try:
                yield url
            finally:
                os.environ.pop(BACKEND)
                os.environ.update({BACKEND: before} if before is not None else {})
    elif name == "sqlite":
        with tempfile.TemporaryDirectory(prefix="polypool-bench-") as folder:
            yield f"sqlite:///{Path(folder, 'queue.db')}"
    else:
        yield name


def another(url: str) -> str:
    """A store of its own, empty, in the same place: another prefix, schema or file."""
    name = f"bench{uuid4().hex[:8]}"
    joint = "&" if "?" in url else "?"
    scheme = url.partition(":")[0]
    if scheme in ("redis", "rediss", "unix", "amqp", "amqps"):
        return f"{url}{joint}prefix={name}"
    if scheme.startswith("postgres"):
        return f"{url}{joint}schema={name}"
    if scheme == "sqlite":
        path, _, options = url.partition("?")
        return f"{path}.{name}" + (f"?{options}" if options else "")
    return url
