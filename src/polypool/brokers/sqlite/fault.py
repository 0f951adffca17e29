"""SQLite's errors as polypool's: mapped once, each saying what to do."""

import sqlite3

from polypool.core.error import EngineDamaged, EngineError, EngineFull, EngineUnreachable

_FAULTS: dict[int, tuple[type[EngineError], str]] = {
    sqlite3.SQLITE_FULL: (
        EngineFull,
        "the disk (or the file's size limit) is full; nothing of this write was kept, everything before it was. "
        "Make room and send again",
    ),
    sqlite3.SQLITE_BUSY: (
        EngineUnreachable,
        "another process has kept the file locked; look for one that holds a transaction open on it "
        "(`fuser -v FILE`) and send again",
    ),
    sqlite3.SQLITE_LOCKED: (EngineUnreachable, "the file is locked; send again"),
    sqlite3.SQLITE_PROTOCOL: (
        EngineUnreachable,
        "the file's locks do not work; is it on a network file system? Put it on a local disk",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        EngineUnreachable,
        "the file cannot be opened or created; check that its folder exists and that this user may write there",
    ),
    sqlite3.SQLITE_IOERR: (
        EngineUnreachable,
        "the disk failed to read or write; check its health, quotas and the file size limit (`ulimit -f`)",
    ),
    sqlite3.SQLITE_PERM: (EngineUnreachable, "access was denied; check the file's permissions"),
    sqlite3.SQLITE_NOMEM: (EngineUnreachable, "there was no memory left; make some free and try again"),
    sqlite3.SQLITE_READONLY: (
        EngineDamaged,
        "the file or its folder is read-only; workers and clients both write: give this user write access to the "
        "file and its folder",
    ),
    sqlite3.SQLITE_CORRUPT: (
        EngineDamaged,
        "the file is damaged; stop all workers, keep a copy, and save what is readable with `sqlite3 FILE .recover`",
    ),
    sqlite3.SQLITE_NOTADB: (EngineDamaged, "the file is no SQLite database; give the broker a file of its own"),
    sqlite3.SQLITE_CONSTRAINT: (EngineDamaged, "the file's tables refuse what this release of polypool writes"),
    sqlite3.SQLITE_FORMAT: (EngineDamaged, "the file is of a format that this SQLite cannot read"),
}


def primary_code(error: sqlite3.Error) -> int | None:
    """SQLite's result code without its extension; None where the error is Python's own."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    """Whether somebody else holds the lock, so that trying again may help."""
    return primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def mapped(error: Exception, path: str) -> Exception:
    """The error to raise to polypool's callers; what is no fault of the store stays as it is."""
    code = primary_code(error) if isinstance(error, sqlite3.Error) else None
    if code in _FAULTS:
        kind, advice = _FAULTS[code]
        return kind(f"{path}: {advice} (SQLite says: {error})")
    if code == sqlite3.SQLITE_ERROR:
        return EngineDamaged(
            f"{path}: the file's tables are not polypool's or not of this version (SQLite says: {error}); "
            "give the broker a file of its own"
        )
    return error
