"""What SQLite itself gives: take and settle with results, in batches, by a loop of bare statements.

The least SQL that keeps the same promises: the order (queue, priority, age), a holder and a token that fences, a
result under an id. Each batch is claimed in one transaction and settled in another. No leases, delays, cancelling
or times to live.
"""

import os
import sqlite3
import tempfile
import time
import uuid

BATCH = 100
BODY = os.urandom(200)
RESULT = b"\x93\xc0\xc0\xcbA\xda\xbf"

SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE task (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, queue TEXT NOT NULL, priority INTEGER NOT NULL,
    state TEXT NOT NULL, worker TEXT, token INTEGER NOT NULL, body BLOB, result BLOB, ended_at REAL
);
CREATE INDEX queued ON task (queue, priority DESC, seq) WHERE state = 'queued';
"""
PUT = "INSERT INTO task (id, queue, priority, state, token, body) VALUES (?, 'default', 0, 'queued', 0, ?)"
TAKE = f"""
UPDATE task SET state = 'running', worker = 'raw', token = token + 1
WHERE seq IN (
    SELECT seq FROM task WHERE state = 'queued' AND queue = 'default' ORDER BY priority DESC, seq LIMIT {BATCH}
)
RETURNING seq, id, token, body
"""
SETTLE = """
UPDATE task SET state = 'succeeded', result = ?, ended_at = ?, body = NULL, worker = NULL
WHERE seq = ? AND token = ? AND state = 'running'
"""


def take_and_settle(count: int) -> float:
    """Tasks a second, from the first take to the last settle, in a file on disk."""
    with tempfile.TemporaryDirectory(prefix="polypool-bench-") as folder:
        connection = sqlite3.connect(f"{folder}/raw.db", isolation_level=None)
        try:
            connection.executescript(SCHEMA)
            _fill(connection, count)
            start = time.perf_counter()
            settled = _drain(connection)
            took = time.perf_counter() - start
        finally:
            connection.close()
    if settled != count:
        raise AssertionError(f"{settled} of {count} tasks were settled")
    return count / took


def _fill(connection: sqlite3.Connection, count: int) -> None:
    connection.execute("BEGIN")
    connection.executemany(PUT, ((uuid.uuid4().hex, BODY) for _ in range(count)))
    connection.execute("COMMIT")


def _drain(connection: sqlite3.Connection) -> int:
    settled = 0
    while True:
        connection.execute("BEGIN IMMEDIATE")
        taken = connection.execute(TAKE).fetchall()
        connection.execute("COMMIT")
        if not taken:
            return settled
        connection.execute("BEGIN IMMEDIATE")
        now = time.time()
        settled += connection.executemany(SETTLE, [(RESULT, now, seq, token) for seq, _, token, _ in taken]).rowcount
        connection.execute("COMMIT")


if __name__ == "__main__":
    print(f"raw sqlite3, batches of {BATCH}: {take_and_settle(50_000):,.0f} tasks/s")
