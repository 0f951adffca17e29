"""In a file of the app's every statement finds polypool's tables under their other names."""

import re
import sqlite3

import pytest

from polypool.brokers.sqlite.shared import PREFIX, Connection, prefixed
from polypool.brokers.sqlite.statements import SQL


@pytest.fixture
def connection() -> Connection:
    made = sqlite3.connect(":memory:", factory=Connection)
    made.is_shared = True
    for statement in SQL["schema"].split(";\n"):
        made.execute(statement)
    return made


def test_all_that_is_made_has_the_prefix(connection: Connection) -> None:
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")]
    assert len(names) > 10
    assert [name for name in names if not name.startswith(PREFIX)] == []


@pytest.mark.parametrize("name", [name for name in SQL if name != "schema" and not name.startswith("upgrade")])
def test_a_statement_compiles_against_the_other_names(connection: Connection, name: str) -> None:
    marks = dict.fromkeys(re.findall(r":(\w+)", SQL[name]))
    assert connection.execute("EXPLAIN " + SQL[name], marks).fetchall()


def test_in_a_file_of_our_own_nothing_is_rewritten() -> None:
    connection = sqlite3.connect(":memory:", factory=Connection)
    connection.execute("CREATE TABLE task (id)")
    assert connection.execute("SELECT count(*) FROM task").fetchone() == (0,)


def test_what_is_called_like_a_table_and_is_none_stays() -> None:
    sql = "SELECT task.task, lane FROM task WHERE event = 1 ON CONFLICT (task) DO UPDATE SET task = 1"
    assert prefixed(sql).startswith("SELECT task.task, lane FROM polypool_task AS task WHERE")
    assert prefixed(sql).endswith("ON CONFLICT (task) DO UPDATE SET task = 1")
