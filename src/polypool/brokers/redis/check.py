"""Is this server fit to hold tasks? Asked at each connect, answered in words that an administrator can act on."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from redis import exceptions

from polypool.core.error import EngineDamaged, EngineUnreachable

OLDEST = (6, 2)
LAYOUT = b"3"
"""Of keys and records; raised when an older release could not read them, or would not do what stands in them."""
READABLE = frozenset({b"2"})
"""Layouts whose keys are read as they are: they become ours."""

logger = logging.getLogger("polypool.redis")

Ask = Callable[..., Awaitable[Any]]


async def check(ask: Ask, address: str, prefix: str) -> tuple[tuple[int, int], str]:
    """The server's version, and what tells this life of it from others. EngineDamaged or EngineUnreachable where it
    will not do."""
    info = _parsed(await ask("INFO"))
    version = _version(info.get("redis_version", "0.0"))
    if version < OLDEST:
        raise EngineDamaged(
            f"{address}: this is Redis {info.get('redis_version', '?')}; polypool needs {OLDEST[0]}.{OLDEST[1]} "
            "or newer"
        )
    if info.get("role") == "slave":
        raise EngineUnreachable(
            f"{address}: this server is a replica of {info.get('master_host', '?')}:{info.get('master_port', '?')}, "
            "which takes no tasks; name the primary in the URL"
        )
    _refuse_eviction(info, address)
    await ask("SET", f"{prefix}layout", LAYOUT, "NX")
    layout = await ask("GET", f"{prefix}layout")
    if layout in READABLE:
        await ask("SET", f"{prefix}layout", LAYOUT)
        layout = LAYOUT
    if layout != LAYOUT:
        raise EngineDamaged(
            f"{address}: the keys under {prefix} are of layout {layout!r}, this release writes {LAYOUT!r}; "
            "use the release that wrote them, or another ?prefix="
        )
    return version, info.get("run_id", "")


async def warn(ask: Ask, address: str) -> None:
    """Tell the log what is doubtful about this server; once is enough."""
    info = _parsed(await ask("INFO"))
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction" and info.get("maxmemory", "0") != "0":
        logger.warning(
            "%s: maxmemory-policy is %s: results and streams may vanish early when the memory is used up; "
            "`CONFIG SET maxmemory-policy noeviction` keeps them",
            address,
            policy,
        )
    await _warn_of_forgetting(ask, info, address)


def _refuse_eviction(info: dict[str, str], address: str) -> None:
    policy = info.get("maxmemory_policy", "noeviction")
    if policy == "noeviction" or info.get("maxmemory", "0") == "0":
        return  # without a limit nothing is evicted
    if policy.startswith("allkeys"):
        raise EngineDamaged(
            f"{address}: maxmemory-policy is {policy}, so the server throws tasks away when its memory is used up; "
            "`CONFIG SET maxmemory-policy noeviction`, and write it in redis.conf"
        )


async def _warn_of_forgetting(ask: Ask, info: dict[str, str], address: str) -> None:
    if info.get("aof_enabled") != "0":
        return
    try:
        answer = await ask("CONFIG", "GET", "save")
    except exceptions.ResponseError:
        return  # hosted servers hide their configuration; how they persist is in the contract
    if len(answer) == 2 and not answer[1].strip():
        logger.warning(
            "%s: nothing is written to disk: a restart of the server loses all tasks; "
            "`CONFIG SET appendonly yes`, and write it in redis.conf",
            address,
        )
    else:
        logger.info(
            "%s: snapshots only: a crash of the server loses the last minutes; appendonly yes loses a second", address
        )


def _parsed(info: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in info.decode(errors="replace").splitlines())
    return {name: value for name, colon, value in pairs if colon}


def _version(text: str) -> tuple[int, int]:
    major, _, rest = text.partition(".")
    minor = rest.partition(".")[0]
    return (int(major) if major.isdecimal() else 0, int(minor) if minor.isdecimal() else 0)
