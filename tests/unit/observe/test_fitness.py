"""Whether an app can run here."""

from collections.abc import Sequence

from polypool.core.manifest import Manifest, TaskSpec
from polypool.core.message import Policy
from polypool.core.port import Traits
from polypool.observe.fitness import Check, fitness


def found(tasks: Sequence[TaskSpec], traits: Traits | None = None, installed: Sequence[str] = ()) -> list[Check]:
    checks = fitness(Manifest("app", "sqlite:///t.db", tuple(tasks)), traits or Traits(), installed.__contains__)
    return [check for check in checks if check.verdict != "ok"]


def test_an_app_that_can_start_is_found_fit() -> None:
    assert found([TaskSpec("t", "asyncio", is_async=True), TaskSpec("g", "gevent")], installed=["gevent"]) == []


def test_an_app_without_tasks_is_told_to_decorate_some() -> None:
    (check,) = found([])
    assert check.verdict == "wrong" and "@app.task" in check.change


def test_a_missing_package_is_named_with_the_line_that_installs_it() -> None:
    (check,) = found([TaskSpec("scan.legacy", "gevent")])
    assert check.verdict == "wrong"
    assert "scan.legacy" in check.found
    assert check.change == "pip install 'polypool[gevent]'"


def test_what_the_engine_lacks_is_wrong_only_where_a_task_uses_it() -> None:
    poor = Traits(priorities=False, delays=False)
    plain = TaskSpec("plain", "threads", policy=Policy(max_retries=0))
    assert found([plain], poor) == []
    urgent = TaskSpec("urgent", "threads", priority=5)
    assert [check.what for check in found([plain, urgent], poor)] == ["priorities", "delays"]


def test_an_engine_without_results_needs_a_backend_beside_it() -> None:
    manifest = Manifest("app", "rabbit://", (TaskSpec("t", "threads"),))
    without = Traits(results=False)
    assert any(check.what == "results" for check in fitness(manifest, without, lambda _: True))
    backed = Manifest("app", "rabbit://", (TaskSpec("t", "threads"),), backend="redis://")
    assert not any(check.what == "results" for check in fitness(backed, without, lambda _: True))


def test_a_hard_timeout_among_calls_that_share_a_child_is_pointed_out() -> None:
    (check,) = found([TaskSpec("t", "threads", policy=Policy(timeout=30.0))])
    assert check.verdict == "hint" and "soft_timeout" in check.change
    assert found([TaskSpec("t", "prefork", policy=Policy(timeout=30.0))]) == []
    assert found([TaskSpec("t", "threads", policy=Policy(timeout=30.0, soft_timeout=20.0))]) == []
