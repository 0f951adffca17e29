"""PostgreSQL's errors as polypool's: mapped once, each saying what to do."""

import os
import ssl

import asyncpg

from polypool.core.error import ConfigurationError, EngineDamaged, EngineError, EngineFull, EngineUnreachable

Kind = type[EngineError] | type[ConfigurationError]

_STATES: dict[str, tuple[Kind, str]] = {
    "28P01": (EngineDamaged, "the password is wrong; correct it in the broker's URL (or PGPASSWORD, or ~/.pgpass)"),
    "28000": (
        EngineDamaged,
        "the server does not let this user in from here; check the user's name, TLS (?sslmode=require) and pg_hba.conf",
    ),
    "3D000": (EngineDamaged, "there is no such database; create it (`createdb NAME`) or name another in the URL"),
    "53300": (EngineUnreachable, "the server has no connection left; raise max_connections or put a pooler in between"),
    "57P03": (EngineUnreachable, "the server is starting up or shutting down; it will be tried again"),
    "42501": (
        EngineDamaged,
        "this user lacks rights; let the schema's owner run `polypool migrate`, then grant USAGE on the schema and "
        "SELECT, INSERT, UPDATE, DELETE on its tables",
    ),
    "25006": (
        EngineDamaged,
        "this server is read-only (a replica, or default_transaction_read_only); name the primary in the broker's URL",
    ),
    "42P01": (EngineDamaged, "tables are missing; run `polypool migrate --broker URL`"),
    "3F000": (EngineDamaged, "the schema is missing; run `polypool migrate --broker URL`"),
    "42703": (EngineDamaged, "the tables are of another version; run `polypool migrate --broker URL`"),
    "53100": (EngineFull, "the server's disk is full; nothing of this write was kept, all before it was. Make room"),
    "53200": (EngineFull, "the server has no memory left; nothing of this write was kept, all before it was"),
}
_CLASSES: dict[str, tuple[Kind, str]] = {
    "08": (EngineUnreachable, "the connection broke; what was under way may or may not have been written"),
    "57": (EngineUnreachable, "the server ended the connection; it will be tried again"),
    "53": (EngineFull, "the server is out of a resource; nothing of this write was kept, everything before it was"),
    "XX": (EngineDamaged, "the server reports damaged data; look at its log, and keep a copy before anything else"),
    "58": (EngineUnreachable, "the server's system failed it; look at its log"),
}
_NO_TLS = "rejected SSL upgrade"
"""What the driver says of a server without TLS."""
# The last is what the driver says when the server has ended a connection that was idle: nothing was sent on it.
_AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.InternalClientError)


def mapped(error: Exception, server: str) -> Exception:
    """The error to raise to polypool's callers; what is no fault of the server stays as it is."""
    if isinstance(error, EngineError | ConfigurationError):
        return error
    if isinstance(error, asyncpg.PostgresError) and (found := _found(error.sqlstate or "")):
        kind, advice = found
        return kind(f"{server}: {advice} (PostgreSQL says: {error})")
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return EngineDamaged(f"{server}: no TLS connection; {_tls_advice(error)}")
    if isinstance(error, ConnectionError) and _NO_TLS in str(error):
        return EngineDamaged(
            f"{server}: the server speaks no TLS and ?sslmode= insists on it; switch it on there (ssl = on), or leave "
            "sslmode out of the broker's URL"
        )
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError) and is_gone(error):
        return EngineUnreachable(f"{server}: the connection is closed ({error})")
    if isinstance(error, TimeoutError):
        return EngineUnreachable(f"{server}: no answer in time; is the server up, and reachable through the firewall?")
    if isinstance(error, OSError):
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or error
        return EngineUnreachable(f"{server}: cannot be reached ({reason}); is the server up, are host and port right?")
    return error


def _tls_advice(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"the server's certificate is not trusted ({error.verify_message or error}): ?sslrootcert=FILE names the "
            "authority that signed it; its name must be the host in the URL"
        )
    return f"check ?sslmode=, sslcert= and sslkey= in the URL (TLS says: {error.reason or error})"


def _found(state: str) -> tuple[Kind, str] | None:
    return _STATES.get(state) or _CLASSES.get(state[:2])


def is_gone(error: BaseException) -> bool:
    """Whether the connection is of no more use."""
    if isinstance(error, asyncpg.PostgresError):
        # Or is another's now: after a failover the URL leads to the new primary, this one has become a replica.
        return (error.sqlstate or "")[:2] in ("08", "57") or error.sqlstate == "25006"
    gone = OSError | asyncpg.ConnectionDoesNotExistError | asyncpg.InterfaceError | asyncpg.InternalClientError
    return isinstance(error, gone)


def is_worth_repeating(error: BaseException) -> bool:
    """Whether the server undid it because of somebody else, so that the same may now succeed."""
    return isinstance(error, _AGAIN)
