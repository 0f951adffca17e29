"""Open the database file: settings, schema, and clear words for a file that is not ours."""

import os
import random
import sqlite3
import time
from urllib.parse import quote

from polypool.brokers.sqlite.fault import is_busy
from polypool.brokers.sqlite.options import Options
from polypool.brokers.sqlite.shared import PREFIX, Connection
from polypool.brokers.sqlite.statements import SQL
from polypool.core.error import EngineDamaged, EngineUnreachable, MissingExtra
from polypool.native import lock

SCHEMA = 3
"""Raised with each change of the tables; kept in the file's user_version."""
APPLICATION_ID = 0x706F6C79
"""Marks the file as polypool's ("poly"), for `file` and for us."""
VERSION_TABLE = f"{PREFIX}version"
"""Where the version is kept in a file of the app's."""
OLDEST_SQLITE = (3, 35, 0)  # RETURNING


def connect(path: str, options: Options) -> Connection:
    """A connection in WAL mode to a file with our schema. For use on the calling thread."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        raise MissingExtra(f"Python was built with SQLite {sqlite3.sqlite_version}; polypool needs {oldest} or newer")
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise EngineUnreachable(
            f"{path}: there is no folder {folder}; create it, or name another file in the broker's URL"
        )
    if os.path.isdir(path):
        raise EngineUnreachable(f"{path}: is a folder; name a file in the broker's URL")
    deadline = time.monotonic() + options.busy_timeout
    while True:
        connection = sqlite3.connect(
            f"file:{quote(path)}",
            uri=True,
            isolation_level=None,
            timeout=0,
            cached_statements=256,
            check_same_thread=False,
            factory=Connection,
        )
        try:
            _prepare(connection, path, options)
        except BaseException as error:
            connection.close()
            if not isinstance(error, sqlite3.OperationalError) or not is_busy(error) or time.monotonic() > deadline:
                raise
            nap = lock()  # another process makes or opens the file at this moment
            nap.acquire()
            nap.acquire(timeout=random.uniform(0.001, 0.01))
        else:
            return connection


def identity(path: str) -> tuple[int, int] | None:
    """What tells a file from another of its name; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _prepare(connection: Connection, path: str, options: Options) -> None:
    connection.is_shared = _is_shared(connection, options)
    _refuse_foreign(connection, path)
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise EngineUnreachable(
                f"{path}: no write-ahead log is possible here (journal_mode stays {mode!r}); "
                "put the file on a local disk"
            )
    connection.execute(f"PRAGMA synchronous = {options.synchronous}")
    connection.execute("PRAGMA cache_size = -16000")
    connection.execute("PRAGMA temp_store = MEMORY")
    # Pages that are written often reach the file once in 16 MB of log instead of once in 4.
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    connection.execute("PRAGMA journal_size_limit = 67108864")
    if _version(connection) < SCHEMA:
        _write_schema(connection)


def _is_shared(connection: Connection, options: Options) -> bool:
    """Whether our tables have, or are to have, the names of those in a file of the app's."""
    if connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID:
        return False
    is_there = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = ?", [VERSION_TABLE]).fetchone()[0]
    return options.shared or bool(is_there)


def _version(connection: Connection) -> int:
    """Of our tables; 0 where there are none. In a file of the app's the user_version is the app's."""
    if not connection.is_shared:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    if not connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = ?", [VERSION_TABLE]).fetchone()[0]:
        return 0
    return int(connection.execute(f"SELECT version FROM {VERSION_TABLE}").fetchone()[0])


def _write_version(connection: Connection) -> None:
    if connection.is_shared:
        connection.execute(f"CREATE TABLE IF NOT EXISTS {VERSION_TABLE} (version INTEGER NOT NULL)")
        connection.execute(f"DELETE FROM {VERSION_TABLE}")
        connection.execute(f"INSERT INTO {VERSION_TABLE} VALUES ({SCHEMA})")
    else:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA}")


def _refuse_foreign(connection: Connection, path: str) -> None:
    version = _version(connection)
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if not connection.is_shared and (owner not in (0, APPLICATION_ID) or (owner == 0 and tables)):
        raise EngineDamaged(
            f"{path}: is another program's database; give the broker a file of its own (if it is your app's, and is to "
            "hold polypool's tables too, say ?shared=yes in the broker's URL)"
        )
    if version > SCHEMA:
        raise EngineDamaged(
            f"{path}: was made by a newer polypool (schema {version}, this one knows {SCHEMA}); "
            "upgrade this installation"
        )


def _write_schema(connection: Connection) -> None:
    """Make our tables, or bring those of an earlier release up to date."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have been quicker.
        version = _version(connection)
        steps = [f"upgrade_{number}" for number in range(version, SCHEMA)] if version else ["schema"]
        for step in steps:
            for statement in SQL[step].split(";\n"):
                connection.execute(statement)
        if steps:
            _write_version(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
