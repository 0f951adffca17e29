"""The options of tasks and of single sends: what they come to, and what is refused with which words."""

import difflib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from polypool.core.error import ConfigurationError, UnknownOption
from polypool.core.ledger import Charge
from polypool.core.manifest import TaskSpec
from polypool.core.message import DEFAULT_QUEUE, HIGHEST_PRIORITY, LOWEST_PRIORITY, Policy
from polypool.core.running import Sendable
from polypool.core.settings import AUTO, POOL_KINDS
from polypool.limits.rule import Rule, Rules, parsed, rules_of
from polypool.option_checks import classes, in_seconds, limit, whole, word, yes_or_no
from polypool.option_names import ComposeOptions, Defaults, SendOptions, TaskOptions

ASYNC_POOLS = ("asyncio", "solo", "prefork")
SYNC_POOLS = ("threads", "prefork", "solo", "gevent", "eventlet")


class Terms(msgspec.Struct, frozen=True):
    """What options came to, resolved once for a send or for a million."""

    queue: str
    pool: str
    priority: int
    policy: Policy
    due: float | None = None
    due_in: float | None = None
    expires: float | None = None
    expires_in: float | None = None
    """Unix seconds, or with `_in` seconds from the sending of each message."""


def defaults_of(where: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Check an app's defaults."""
    _refuse_unknown(where, given, Defaults.__annotations__)
    return _checked(where, given)


def spec_of(task: str, is_async: bool, options: Mapping[str, Any], charges: tuple[Charge, ...] | None = ()) -> TaskSpec:
    """A task's standing options, from its decorator's and the app's defaults merged."""
    checked = _checked(task, options)
    default_pool = "asyncio" if is_async else "threads"
    pool = checked.get("pool", default_pool)
    _check_colour(task, pool, is_async)
    covered = checked.get("autoretry_for", ())
    retries_timeout = any(issubclass(TimeoutError, one) or _names_timeout(one) for one in covered)
    policy = msgspec.structs.replace(Policy(), retries_timeout=retries_timeout, **_policy_part(checked))
    _check_limits(task, policy)
    return TaskSpec(
        name=task,
        pool=pool,
        queue=checked.get("queue", DEFAULT_QUEUE),
        priority=checked.get("priority", 0),
        policy=policy,
        is_async=is_async,
        expires=checked.get("expires"),
        charges=charges,
    )


def task_rules(task: str, options: Mapping[str, Any]) -> Rules:
    """A task's limits, from its decorator's options."""
    checked = _checked(task, {name: options[name] for name in ("rate_limit", "limits") if name in options})
    return Rules(task, rules_of(task, checked.get("rate_limit"), checked.get("limits", ())))


def check_task_options(where: str, given: Mapping[str, Any]) -> None:
    """UnknownOption for a name that the decorator does not have."""
    _refuse_unknown(where, given, {**TaskOptions.__annotations__, "bind": bool})


def standing_terms(spec: TaskSpec) -> Terms:
    """The terms of a send without options."""
    return Terms(spec.queue, spec.pool, spec.priority, spec.policy, expires_in=spec.expires)


def terms_of(spec: TaskSpec, given: Mapping[str, Any]) -> Terms:
    """The terms of a send with these options."""
    where = f"sending {spec.name}"
    _refuse_unknown(where, given, SendOptions.__annotations__)
    if given.get("countdown") is not None and given.get("eta") is not None:
        raise ConfigurationError(f"{where}: countdown and eta both say when; give one of them")
    checked = _checked(where, {name: value for name, value in given.items() if name not in _MOMENTS})
    policy = spec.policy
    if changed := _policy_part(checked):
        policy = msgspec.structs.replace(policy, **changed)
        _check_limits(where, policy)
    eta, expires = given.get("eta"), given.get("expires", spec.expires)
    is_date = isinstance(expires, datetime)
    return Terms(
        queue=checked.get("queue", spec.queue),
        pool=spec.pool,
        priority=checked.get("priority", spec.priority),
        policy=policy,
        due=None if eta is None else _unix(where, "eta", eta),
        due_in=_wait(where, given.get("countdown")),
        expires=_unix(where, "expires", expires) if is_date else None,
        expires_in=None if is_date else limit(where, "expires", expires),
    )


def check_send_options(where: str, given: Mapping[str, Any]) -> None:
    """What `terms_of` would refuse, before there is a task to send."""
    _refuse_unknown(where, given, ComposeOptions.__annotations__)
    if given.get("countdown") is not None and given.get("eta") is not None:
        raise ConfigurationError(f"{where}: countdown and eta both say when; give one of them")
    _check_moments(where, given)
    _checked(where, {name: value for name, value in given.items() if name not in _MOMENTS})


def split_callbacks(given: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Take the callbacks out of these options: those for success, and those for failure."""
    on_success = [one for name in ("on_success", "link") for one in _several(given.pop(name, None))]
    on_failure = [one for name in ("on_failure", "link_error") for one in _several(given.pop(name, None))]
    return on_success, on_failure


def check_pool(where: str, pool: object) -> str:
    """A pool's name; ConfigurationError with those there are."""
    if pool not in (*POOL_KINDS, AUTO):
        raise ConfigurationError(
            f"{where}: no pool is called {pool!r}{_nearest(str(pool), (*POOL_KINDS, AUTO))}; there are "
            f"{', '.join(POOL_KINDS)}, and {AUTO} to have polypool choose"
        )
    return str(pool)


def _check_colour(task: str, pool: str, is_async: bool) -> None:
    if pool == AUTO or pool in (ASYNC_POOLS if is_async else SYNC_POOLS):
        return
    if is_async:
        raise ConfigurationError(
            f"{task}: an async def task cannot run in the {pool} pool, which runs blocking functions; "
            f'leave pool out (asyncio), say pool="prefork" if it burns CPU, or make it a plain def'
        )
    raise ConfigurationError(
        f"{task}: a plain def task would block the event loop of the {pool} pool and every task on it; "
        "leave pool out (threads), or make it async def"
    )


def _check_limits(where: str, policy: Policy) -> None:
    soft, hard = policy.soft_timeout, policy.timeout
    if soft is not None and hard is not None and soft >= hard:
        raise ConfigurationError(
            f"{where}: soft_timeout ({soft:g} s) must be shorter than timeout ({hard:g} s), "
            "or the process is killed before the task can clean up"
        )


def _names_timeout(covered: type[BaseException]) -> bool:
    return covered.__module__ == "polypool.core.error" and covered.__name__ == "TimeLimitExceeded"


def _check_moments(where: str, given: Mapping[str, Any]) -> None:
    _wait(where, given.get("countdown"))
    if (eta := given.get("eta")) is not None:
        _unix(where, "eta", eta)
    if not isinstance(expires := given.get("expires"), datetime):
        limit(where, "expires", expires)


def _several(callbacks: Any) -> list[Any]:
    if callbacks is None:
        return []
    return [callbacks] if isinstance(callbacks, Sendable) or not isinstance(callbacks, Iterable) else list(callbacks)


def _policy_part(checked: Mapping[str, Any]) -> dict[str, Any]:
    return {name: checked[name] for name in Policy.__struct_fields__ if name in checked}


def _wait(where: str, countdown: Any) -> float | None:
    return None if countdown is None else in_seconds(where, "countdown", countdown) or None


def _unix(where: str, name: str, moment: Any) -> float:
    if isinstance(moment, datetime):
        return moment.timestamp()
    return in_seconds(where, name, moment)


def _refuse_unknown(where: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    for name in given:
        if name not in known:
            raise UnknownOption(
                f"{where}: there is no option {name!r}{_nearest(name, known)}; there are {', '.join(sorted(known))}"
            )


def _nearest(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _checked(where: str, given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _CHECKS[name](where, name, value) for name, value in given.items()}


def _pool(where: str, name: str, value: Any) -> str:
    return check_pool(where, value)


def _rate(where: str, name: str, value: Any) -> str | None:
    if value is not None:
        parsed(where, value)
    return value if value is None else str(value)


def _rules(where: str, name: str, value: Any) -> tuple[Rule, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(one, Rule) for one in value):
        raise ConfigurationError(
            f'{where}: limits={value!r} must be a list of limits, as in [Rate("openai", "500/m"), '
            'Concurrency("tenant:{tenant}", 3)]'
        )
    return tuple(value)


_MOMENTS = ("countdown", "eta", "expires")
_CHECKS: dict[str, Callable[[str, str, Any], Any]] = {
    "name": word,
    "queue": word,
    "task_id": word,
    "pool": _pool,
    "rate_limit": _rate,
    "limits": _rules,
    "priority": whole(LOWEST_PRIORITY, HIGHEST_PRIORITY),
    "timeout": limit,
    "soft_timeout": limit,
    "expires": limit,
    "max_retries": whole(0),
    "max_lost": whole(1),
    "retry_backoff": in_seconds,
    "retry_backoff_max": in_seconds,
    "result_ttl": in_seconds,
    "retry_jitter": yes_or_no,
    "bind": yes_or_no,
    "public": yes_or_no,
    "autoretry_for": classes,
}
