"""What `polypool check` finds of an app."""

from pathlib import Path

import pytest

from tests.unit.cli.conftest import Typed, write_module


def app_with(folder: Path, *lines: str, broker: str = "sqlite:///t.db") -> str:
    name = f"checked_{folder.name.replace('-', '_')}"
    write_module(folder, name, "from polypool import Polypool", f"app = Polypool('shop', broker={broker!r})", *lines)
    return f"{name}:app"


def test_an_app_that_can_start_passes_and_is_told_how(polypool: Typed, folder: Path) -> None:
    target = app_with(folder, "@app.task(name='shop.pack', timeout=60, pool='prefork')", "def pack(): ...")
    came = polypool("check", target)
    assert came.status == 0, came.out
    assert "shop.pack" in came.out and "prefork" in came.out
    assert "✓ engine: sqlite:///t.db answers" in came.out
    assert f"polypool worker {target}" in came.out


def test_an_app_without_tasks_does_not_pass(polypool: Typed, folder: Path) -> None:
    came = polypool("check", app_with(folder))
    assert came.status == 1
    assert "✗ tasks: the app has no task" in came.out and "@app.task" in came.out


def test_a_pool_whose_package_is_missing_does_not_pass(
    polypool: Typed, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("polypool.cli.check.find_spec", lambda _: None)
    came = polypool("check", app_with(folder, "@app.task(pool='gevent')", "def legacy(): ..."))
    assert came.status == 1
    assert "pip install 'polypool[gevent]'" in came.out


@pytest.mark.parametrize(
    ("broker", "said"),
    [("memory://", "inside one process"), ("pigeon://", "no engine answers"), ("sqlite:////no/such/place/t.db", "✗")],
)
def test_an_engine_that_does_not_answer_does_not_pass(polypool: Typed, folder: Path, broker: str, said: str) -> None:
    came = polypool("check", app_with(folder, "@app.task", "def pack(): ...", broker=broker))
    assert came.status == 1
    assert said in came.out and "It cannot start like this." in came.out
    assert "Traceback" not in came.out + came.err


def test_json_tells_the_same_to_scripts(polypool: Typed, folder: Path) -> None:
    came = polypool("check", app_with(folder, "@app.task(name='p')", "async def pack(): ..."), "--json")
    assert came.json.keys() == {"app", "engine", "is_fit", "checks", "tasks"}
    assert came.json["is_fit"] is True
    assert came.json["tasks"] == [
        {
            "task": "p",
            "pool": "asyncio",
            "queue": "default",
            "priority": 0,
            "is_async": True,
            "timeout": None,
            "max_retries": 3,
        }
    ]
