"""polypool migrate, where there is nothing to migrate. With a server: tests/conformance/test_postgres.py."""

from pathlib import Path

from tests.unit.cli.conftest import Typed


def test_an_engine_that_keeps_its_own_tables_needs_no_migration(polypool: Typed, tmp_path: Path) -> None:
    came = polypool("migrate", "--broker", f"sqlite:///{tmp_path}/tasks.db")
    assert (came.status, came.err) == (0, "")
    assert "nothing to do" in came.out
    assert not (tmp_path / "tasks.db").exists()


def test_a_server_that_is_not_there_is_named_without_its_password(polypool: Typed) -> None:
    came = polypool("migrate", "--broker", "postgresql://me:secret@127.0.0.1:1/db")
    assert came.status == 1
    assert "127.0.0.1:1" in came.err and "cannot be reached" in came.err and "secret" not in came.err


def test_an_engine_that_nobody_knows_is_refused(polypool: Typed) -> None:
    assert polypool("migrate", "--broker", "oracle://x").status == 2
