"""Redis's errors as polypool's: mapped once, each saying what to do."""

import re
import ssl

from redis import exceptions

from polypool.core.error import EngineDamaged, EngineError, EngineFull, EngineUnreachable

# The first that fits, so special ones stand before general ones.
_BY_CLASS: tuple[tuple[type[Exception], type[EngineError], str], ...] = (
    (
        exceptions.AuthenticationError,
        EngineDamaged,
        "the server wants another user or password; the URL says them: redis://USER:PASSWORD@HOST (user may be empty)",
    ),
    (
        exceptions.NoPermissionError,
        EngineDamaged,
        "this user may not do that; give it the rights of docs/redis.md (ACL SETUSER)",
    ),
    (
        exceptions.BusyLoadingError,
        EngineUnreachable,
        "the server is still loading its data; it answers when it is done",
    ),
    (
        exceptions.ReadOnlyError,
        EngineUnreachable,
        "this server is a read-only replica; name the primary in the URL (after a failover it may be one soon)",
    ),
    (
        exceptions.OutOfMemoryError,
        EngineFull,
        "the memory (maxmemory) is used up; nothing of this was written, everything before it was. "
        "Let workers catch up, raise maxmemory, shorten result_ttl",
    ),
    (
        exceptions.MaxConnectionsError,
        EngineUnreachable,
        "the server takes no more connections; raise maxclients (polypool uses two a process)",
    ),
    (exceptions.TimeoutError, EngineUnreachable, "no answer in time; is the server overloaded, stopped or cut off?"),
    (exceptions.ConnectionError, EngineUnreachable, "cannot be reached; is it running, and are host and port right?"),
)
_BY_WORD: tuple[tuple[str, type[EngineError], str], ...] = (
    (
        "MISCONF",
        EngineFull,
        "the server cannot save to its disk and takes no writes until it can; look at its log and make room",
    ),
    ("CLUSTERDOWN", EngineUnreachable, "the cluster is down or has no node for these keys; mend it"),
    ("MASTERDOWN", EngineUnreachable, "this replica has lost its primary"),
    ("NOREPLICAS", EngineUnreachable, "too few replicas are in step (min-replicas-to-write)"),
    ("WRONGPASS", EngineDamaged, _BY_CLASS[0][2]),
    ("NOAUTH", EngineDamaged, _BY_CLASS[0][2]),
    ("max number of clients", EngineUnreachable, _BY_CLASS[5][2]),
    ("BUSY ", EngineUnreachable, "somebody's script keeps the server busy; `SCRIPT KILL` ends it"),
    ("invalid DB index", EngineDamaged, "there is no such database; the number behind the host in the URL says which"),
    ("DB index is out of range", EngineDamaged, "there is no such database; the number in the URL says which"),
    ("WRONGTYPE", EngineDamaged, "keys of this prefix are not polypool's; give the app another one: ?prefix=NAME"),
)


_KINDS: dict[str, type[exceptions.RedisError]] = {
    "LOADING": exceptions.BusyLoadingError,
    "MOVED": exceptions.MovedError,
    "NOAUTH": exceptions.AuthenticationError,
    "NOPERM": exceptions.NoPermissionError,
    "NOSCRIPT": exceptions.NoScriptError,
    "OOM": exceptions.OutOfMemoryError,
    "READONLY": exceptions.ReadOnlyError,
    "WRONGPASS": exceptions.AuthenticationError,
}


_INSIDE_A_SCRIPT = re.compile("running script.* -([A-Z]+) ")
"""Redis 6 says in the middle what a script was refused with."""


def recognised(text: str) -> exceptions.RedisError:
    """What the server answered with, as an exception: the first word tells which."""
    kind, _, rest = text.partition(" ")
    if kind == "MOVED":
        return exceptions.MovedError(rest)
    if kind == "ERR" and (inside := _INSIDE_A_SCRIPT.search(text)):
        kind = inside[1]
    return _KINDS.get(kind, exceptions.ResponseError)(text)


def mapped(error: Exception, address: str) -> EngineError:
    """The error to raise to polypool's callers."""
    if isinstance(error, EngineError):
        return error
    tls = _tls_error(error)
    if tls is not None:
        return EngineDamaged(
            f"{address}: no TLS connection; rediss:// needs a TLS port and a certificate that is trusted "
            f"(?ssl_ca_certs=FILE names another authority), redis:// a plain one (TLS says: {tls})"
        )
    for word, kind, advice in _BY_WORD:
        if word in str(error):
            return kind(f"{address}: {advice} (Redis says: {error})")
    for cause, kind, advice in _BY_CLASS:
        if isinstance(error, cause):
            return kind(f"{address}: {advice} (Redis says: {error})")
    if isinstance(error, OSError):
        return EngineUnreachable(f"{address}: cannot be reached ({error})")
    return EngineDamaged(
        f"{address}: the server refused a command polypool needs (Redis says: {error}); "
        "its version and its user's rights are in docs/redis.md"
    )


def _tls_error(error: BaseException | None) -> ssl.SSLError | None:
    seen = 0
    while error is not None and seen < 5:
        if isinstance(error, ssl.SSLError):
            return error
        error, seen = error.__cause__ or error.__context__, seen + 1
    return None
