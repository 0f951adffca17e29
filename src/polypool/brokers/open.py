"""Open an engine by its URL."""

import os
import time
from collections.abc import Callable
from typing import cast
from urllib.parse import parse_qsl, unquote, urlsplit

from polypool.core.error import ConfigurationError, MissingExtra
from polypool.core.port import Backend, Engine
from polypool.core.settings import CARRIERS, is_carrier, without_password

Clock = Callable[[], float]


def open_engine(url: str, *, backend: str | None = None, clock: Clock = time.time) -> Engine:
    """The engine a URL names; `await engine.broker.open()` connects it.

    `memory://` (this process only), `sqlite:///relative.db`, `sqlite:////absolute.db` with the options
    `?synchronous=full`, `?busy_timeout=SECONDS` and `?shared=yes`; `redis://`, `rediss://` and `unix://` as redis-py
    reads them, with `?prefix=NAME` and `?timeout=SECONDS` beside; `postgresql://user:password@host/database` (see
    docs/postgres.md); `amqp://user:password@host/vhost` and `amqps://` (docs/rabbitmq.md), which need one of the others
    as `backend`. ConfigurationError for anything else.
    """
    scheme = _scheme_of(url, "broker")
    if scheme in CARRIERS:
        return _open_rabbitmq(url, _backend_of(url, backend, clock), clock)
    if backend is not None and backend != url:
        raise ConfigurationError(
            f"backend {without_password(backend)}: {scheme}:// keeps results in the same step as it acknowledges; "
            "leave backend= (or POLYPOOL_BACKEND, --backend) out. It is for amqp:// brokers"
        )
    return _OPENERS[scheme](url, clock)


def has_priorities(url: str) -> bool:
    """Whether what a URL opens keeps an order of priority; known without opening it."""
    return not is_carrier(url) or dict(parse_qsl(urlsplit(url).query)).get("queue_type") == "classic"


def _scheme_of(url: str, role: str) -> str:
    scheme, separator, _ = url.partition("://")
    if separator and (scheme in _OPENERS or scheme in CARRIERS):
        return scheme
    known = ", ".join(f"{name}://" for name in sorted([*_OPENERS, *CARRIERS]))
    raise ConfigurationError(
        f"{role} {url!r}: no engine answers to {scheme + '://' if separator else 'that'}; there are {known} "
        "(for a file: sqlite:///tasks.db)"
    )


def _backend_of(url: str, backend: str | None, clock: Clock) -> Backend:
    shown = without_password(url)
    if backend is None:
        raise ConfigurationError(
            f"broker {shown}: RabbitMQ carries messages and keeps no results or states; name an engine that does, "
            'beside it: Polypool(…, backend="redis://localhost"), or POLYPOOL_BACKEND, or --backend. '
            "redis://, postgresql:// and sqlite:/// do"
        )
    scheme = _scheme_of(backend, "backend")
    if scheme in CARRIERS:
        raise ConfigurationError(
            f"backend {without_password(backend)}: RabbitMQ keeps no results; name redis://, postgresql:// or sqlite:///"
        )
    opened = _OPENERS[scheme](backend, clock)
    if not hasattr(opened, "claims"):
        raise ConfigurationError(f"backend {without_password(backend)}: this engine cannot stand behind another one")
    return cast(Backend, opened)


async def migrate_engine(url: str) -> str:
    """Bring an engine's tables up to date; what was done, in words. Only PostgreSQL's are not made by themselves."""
    scheme = url.partition("://")[0]
    if scheme not in ("postgres", "postgresql"):
        engine = open_engine(url)
        if scheme == "sqlite" and os.path.exists(engine.place):  # noqa: ASYNC240 — a moment, and nothing else runs
            await engine.broker.open()  # an app's file may be there before the tables are
            await engine.broker.close()
        return f"nothing to do: a {scheme}:// engine keeps its own tables up to date"
    _open_postgres(url, time.time)
    from polypool.brokers.postgres.migrate import migrate

    before, after = await migrate(url)
    return f"already up to date (version {after})" if before == after else f"migrated from version {before} to {after}"


def _open_memory(url: str, clock: Clock) -> Engine:
    from polypool.brokers.memory import MemoryEngine

    if url != "memory://":
        raise ConfigurationError(f"broker {url!r}: the memory engine takes no name and no options; write memory://")
    return MemoryEngine(clock)


def _open_sqlite(url: str, clock: Clock) -> Engine:
    from polypool.brokers.sqlite.engine import SqliteEngine
    from polypool.brokers.sqlite.options import Options

    parts = urlsplit(url)
    path = unquote(parts.path)[1:]
    if parts.netloc or not path:
        raise ConfigurationError(
            f"broker {url!r}: three slashes and a path name the file: sqlite:///tasks.db beside you, "
            "sqlite:////var/lib/tasks.db from the root"
        )
    if path == ":memory:":
        raise ConfigurationError(
            f"broker {url!r}: a worker needs a file it can share with its clients; for one process write memory://"
        )
    return SqliteEngine(path, Options.parse(url, parse_qsl(parts.query, keep_blank_values=True)), clock)


def _open_redis(url: str, clock: Clock) -> Engine:
    try:
        from polypool.brokers.redis.engine import RedisEngine
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("redis", "hiredis"):
            raise
        raise MissingExtra(
            f"the Redis engine needs the package {error.name!r}: pip install 'polypool[redis]'"
        ) from None
    from polypool.brokers.redis.options import Options

    return RedisEngine(Options.parse(url), clock)


def _open_rabbitmq(url: str, backend: Backend, clock: Clock) -> Engine:
    try:
        from polypool.brokers.rabbitmq.engine import RabbitEngine
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pamqp":
            raise
        raise MissingExtra(
            "an amqp:// broker needs the package pamqp; install it: pip install 'polypool[rabbitmq]'"
        ) from None
    from polypool.brokers.rabbitmq.options import Options

    return RabbitEngine(Options.parse(url), backend, clock)


def _open_postgres(url: str, clock: Clock) -> Engine:
    try:
        from polypool.brokers.postgres.engine import PostgresEngine
    except ModuleNotFoundError as error:
        if error.name != "asyncpg":
            raise
        raise MissingExtra(
            "a postgresql:// broker needs the package asyncpg; install it: pip install 'polypool[postgres]'"
        ) from None
    return PostgresEngine(url, clock)


_OPENERS: dict[str, Callable[[str, Clock], Engine]] = {
    "memory": _open_memory,
    "postgres": _open_postgres,
    "postgresql": _open_postgres,
    "redis": _open_redis,
    "rediss": _open_redis,
    "sqlite": _open_sqlite,
    "unix": _open_redis,
}
