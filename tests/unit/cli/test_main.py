"""The command as a whole: help, names that are not there, and how it ends."""

import subprocess
import sys

import pytest

from polypool.cli.main import COMMANDS
from polypool.core.error import ConfigurationError, EngineUnreachable
from tests.unit.cli.conftest import Typed


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_listed_can_be_asked_for_help(polypool: Typed, command: str) -> None:
    came = polypool(command, "--help")
    assert came.status == 0
    assert came.out.startswith(f"Usage: polypool {command}")


def test_help_lists_every_command_and_imports_none(polypool: Typed) -> None:
    came = polypool("--help")
    assert all(f"  {name}" in came.out and summary in came.out for name, summary in COMMANDS.items())
    script = "import sys; from polypool.cli.main import polypool as p; p.main(['--help'], standalone_mode=False)"
    ended = subprocess.run([sys.executable, "-v", "-c", script], capture_output=True, text=True, check=True)
    assert "'polypool.cli.main'" in ended.stderr
    assert "'polypool.cli.status'" not in ended.stderr


def test_a_misspelt_command_is_answered_with_the_nearest(polypool: Typed) -> None:
    came = polypool("stauts")
    assert came.status == 2 and "did you mean 'status'?" in came.err


def test_the_version_is_told_by_the_package(polypool: Typed) -> None:
    assert polypool("--version").out.startswith("polypool ")


@pytest.mark.parametrize(("error", "status"), [(ConfigurationError("a\nb"), 2), (EngineUnreachable("a\nb"), 1)])
def test_an_error_of_ours_is_a_line_and_a_hint_and_never_a_traceback(
    polypool: Typed, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("polypool.cli.look.where", fail)
    came = polypool("queues")
    assert (came.status, came.out, came.err) == (status, "", "polypool: a\nb\n")


def test_ctrl_c_ends_a_command_without_a_traceback(polypool: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("polypool.cli.look.where", interrupt)
    came = polypool("status")
    assert came.status == 130
    assert "Traceback" not in came.err
