"""PostgreSQL's errors as polypool's: mapped once, each saying what to do."""

import ssl

import asyncpg

from polypool.core.error import ConfigurationError, EngineDamaged, EngineError, EngineFull, EngineUnreachable

Kind = type[EngineError] | type[ConfigurationError]

_STATES: dict[str, tuple[Kind, str]] = {
    "28P01": (EngineUnreachable, "the password is wrong; correct it in the broker's URL (or PGPASSWORD, or ~/.pgpass)"),
    "28000": (
        EngineUnreachable,
        "the server does not let this user in from here; check the user's name, TLS (?sslmode=require) and pg_hba.conf",
    ),
    "3D000": (EngineUnreachable, "there is no such database; create it (`createdb NAME`) or name another in the URL"),
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
# The last is what the driver says when the server has ended a connection that was idle: nothing was sent on it.
_AGAIN = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.InternalClientError)


def mapped(error: Exception, server: str) -> Exception:
    """The error to raise to polypool's callers; what is no fault of the server stays as it is."""
    if isinstance(error, EngineError | ConfigurationError):
        return error
    if isinstance(error, asyncpg.PostgresError) and (found := _found(error.sqlstate or "")):
        kind, advice = found
        return kind(f"{server}: {advice} (PostgreSQL says: {error})")
    if isinstance(error, ssl.SSLError):
        return EngineUnreachable(
            f"{server}: TLS failed ({error.reason or error}); check ?sslmode= and sslrootcert= in the URL, "
            "and the certificate's name and date"
        )
    if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError) and is_gone(error):
        return EngineUnreachable(f"{server}: the connection is closed ({error})")
    if isinstance(error, TimeoutError):
        return EngineUnreachable(f"{server}: no answer in time; is the server up, and reachable through the firewall?")
    if isinstance(error, OSError):
        return EngineUnreachable(
            f"{server}: cannot be reached ({error.strerror or error}); is the server up, are host and port right?"
        )
    return error


def _found(state: str) -> tuple[Kind, str] | None:
    return _STATES.get(state) or _CLASSES.get(state[:2])


def is_gone(error: BaseException) -> bool:
    """Whether the connection is of no more use."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "")[:2] in ("08", "57")
    gone = OSError | asyncpg.ConnectionDoesNotExistError | asyncpg.InterfaceError | asyncpg.InternalClientError
    return isinstance(error, gone)


def is_worth_repeating(error: BaseException) -> bool:
    """Whether the server undid it because of somebody else, so that the same may now succeed."""
    return isinstance(error, _AGAIN)
