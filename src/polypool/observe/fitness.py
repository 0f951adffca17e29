"""Fitness: whether an app can run here, before it is asked to. Pure; shown by `polypool check`."""

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from polypool.core.manifest import Manifest, TaskSpec
from polypool.core.port import Traits

EXTRAS = {"gevent": "gevent", "eventlet": "eventlet"}
"""Pool kinds that need a package, and its name; the extra has the same name."""
SHARED = frozenset({"asyncio", "threads", "gevent", "eventlet"})

Verdict = Literal["ok", "hint", "wrong"]


class Check(msgspec.Struct, frozen=True):
    """One thing looked at. `hint` can start and may surprise; `wrong` cannot start."""

    what: str
    verdict: Verdict
    found: str
    change: str = ""


def fitness(manifest: Manifest, traits: Traits | None, is_installed: Callable[[str], bool]) -> list[Check]:
    """Everything that would stop this app's worker or surprise its users. `traits` is None where no engine answered."""
    return [
        _has_tasks(manifest),
        *_packages(manifest, is_installed),
        *(lacks(manifest, traits) if traits is not None else ()),
        *_shared_deaths(manifest),
    ]


def _has_tasks(manifest: Manifest) -> Check:
    if manifest.tasks:
        return Check("tasks", "ok", f"{len(manifest.tasks)} tasks")
    return Check("tasks", "wrong", "the app has no task", "decorate functions with @app.task in modules it imports")


def _packages(manifest: Manifest, is_installed: Callable[[str], bool]) -> Iterable[Check]:
    for kind in sorted({spec.pool for spec in manifest.tasks} & set(EXTRAS)):
        package = EXTRAS[kind]
        if is_installed(package):
            yield Check(f"pool {kind}", "ok", f"{package} is installed")
        else:
            tasks = _named(spec for spec in manifest.tasks if spec.pool == kind)
            found = f"{package} is not installed; {tasks} cannot run"
            yield Check(f"pool {kind}", "wrong", found, f"pip install 'polypool[{kind}]'")


def lacks(manifest: Manifest, traits: Traits) -> Iterable[Check]:
    """What the engine cannot do and this app asks of it."""
    if not traits.priorities and (with_priority := [spec for spec in manifest.tasks if spec.priority]):
        change = "leave priority out, or use one that has them (sqlite, redis, postgres, amqp with ?queue_type=classic)"
        yield Check("priorities", "wrong", f"the engine has none; {_named(with_priority)} ask for one", change)
    if not traits.results and manifest.backend is None:
        change = 'give the app one beside its broker: Polypool(…, backend="redis://…")'
        yield Check("results", "wrong", "the engine keeps no results", change)
    if not traits.delays:
        retried = [spec for spec in manifest.tasks if spec.policy.max_retries and spec.policy.retry_backoff]
        if retried:
            change = "use an engine that has delays (sqlite, redis, postgres), or retry_backoff=0"
            yield Check("delays", "wrong", f"the engine has none, so {_named(retried)} cannot be retried later", change)


def _shared_deaths(manifest: Manifest) -> Iterable[Check]:
    """A hard timeout kills the child; in a pool whose child runs many calls the others go back and begin anew."""
    killing = [spec for spec in manifest.tasks if spec.pool in SHARED and spec.policy.timeout and not _is_soft(spec)]
    if killing:
        yield Check(
            "timeouts",
            "hint",
            f"{_named(killing)}: at its timeout the whole child dies, and the calls beside it begin anew",
            'set soft_timeout below timeout, so that the call can end by itself, or pool="prefork"',
        )


def _is_soft(spec: TaskSpec) -> bool:
    return spec.policy.soft_timeout is not None


def _named(specs: Iterable[TaskSpec]) -> str:
    names = sorted(spec.name for spec in specs)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
