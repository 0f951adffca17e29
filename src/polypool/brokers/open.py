"""Open an engine by its URL."""

import time
from collections.abc import Callable
from urllib.parse import parse_qsl, unquote, urlsplit

from polypool.core.error import ConfigurationError, MissingExtra
from polypool.core.port import Engine

Clock = Callable[[], float]


def open_engine(url: str, *, clock: Clock = time.time) -> Engine:
    """The engine a URL names; `await engine.broker.open()` connects it.

    `memory://` (this process only), `sqlite:///relative.db`, `sqlite:////absolute.db` with the options
    `?synchronous=full` and `?busy_timeout=SECONDS`; `redis://`, `rediss://` and `unix://` as redis-py reads them, with
    `?prefix=NAME` and `?timeout=SECONDS` beside; `postgresql://user:password@host/database` (its options are in
    docs/postgres.md). ConfigurationError for anything else.
    """
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in _OPENERS:
        known = ", ".join(f"{name}://" for name in sorted(_OPENERS))
        raise ConfigurationError(
            f"broker {url!r}: no engine answers to {scheme + '://' if separator else 'that'}; there are {known} "
            "(for a file: sqlite:///tasks.db)"
        )
    return _OPENERS[scheme](url, clock)


async def migrate_engine(url: str) -> str:
    """Bring an engine's tables up to date; what was done, in words. Only PostgreSQL's are not made by themselves."""
    scheme = url.partition("://")[0]
    if scheme not in ("postgres", "postgresql"):
        open_engine(url)
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
