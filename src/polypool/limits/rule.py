"""Rules: the limits that a task declares, and what one call is charged by them. Pure."""

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from string import Formatter
from typing import Any

import msgspec

from polypool.core import ledger
from polypool.core.error import ArgumentError, ConfigurationError
from polypool.core.ledger import Charge, Slot

WINDOWS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
SMOOTH = 0.1
"""Seconds' worth that may pass at once where no burst is declared: as long as a worker may be late, so that it can
catch up and the limit is reached; too short for a provider to notice."""
SMOOTH_COSTS = 1.0
"""The same of a limit whose calls cost differently: a few of them should fit."""

_AMOUNT = re.compile(r"\s*([0-9][0-9_]*(?:\.[0-9]+)?)\s*/\s*([0-9]+(?:\.[0-9]+)?)?\s*([smhd])\s*")

Cost = float | Callable[..., float]


class Rate:
    """So much in so long: `Rate("openai", "500/m")`, windows s, m, h and d, or several of them as in `"10/15s"`.

    The key is shared by all tasks that name it, on all workers; `{name}` in it stands for an argument. `cost` is what a
    call takes: a number, or a function of the task's arguments that estimates it, to be corrected by
    `current.spend(key, used)`. `burst` may pass at once; in any window never more than the amount and the burst.
    """

    __slots__ = ("amount", "burst", "cost", "key", "per")

    def __init__(self, key: str, rate: str, *, cost: Cost = 1.0, burst: float | None = None) -> None:
        self.key = _checked_key(key)
        self.amount, self.per = parsed(key, rate)
        if not callable(cost) and not _is_number(cost):
            raise ConfigurationError(
                f"{key}: cost={cost!r} must be a number above 0, or a function of the task's arguments that returns one"
            )
        if burst is not None and not _is_number(burst):
            raise ConfigurationError(f"{key}: burst={burst!r} must be a number above 0; leave it out for a small one")
        self.cost = cost
        self.burst = float(burst) if burst is not None else self._usual_burst()

    def _usual_burst(self) -> float:
        rate = self.amount / self.per
        return 1.0 + rate * SMOOTH if self.cost == 1.0 else max(1.0, rate * SMOOTH_COSTS)

    def charge(self, key: str, cost: float) -> ledger.Rate:
        return ledger.Rate(key, self.amount, self.per, cost, self.burst, is_estimate=callable(self.cost))

    def __repr__(self) -> str:
        return f"Rate({self.key!r}, '{self.amount:g}/{self.per:g}s')"


class Concurrency:
    """So many at a time: `Concurrency("tenant:{tenant}", 3)`. The key is as that of a Rate."""

    __slots__ = ("key", "limit")

    def __init__(self, key: str, limit: int) -> None:
        self.key = _checked_key(key)
        if type(limit) is not int or limit < 1:
            raise ConfigurationError(f"{key}: limit={limit!r} must be a whole number of runs at a time, at least 1")
        self.limit = limit

    def __repr__(self) -> str:
        return f"Concurrency({self.key!r}, {self.limit})"


Rule = Rate | Concurrency
Arguments = Callable[[], Mapping[str, Any]]
"""A call's arguments by name, asked for only where a key needs them."""


def parsed(key: str, rate: object) -> tuple[float, float]:
    """`"500/m"` as an amount and seconds. ConfigurationError."""
    found = _AMOUNT.fullmatch(rate) if isinstance(rate, str) else None
    amount = float(found[1].replace("_", "")) if found else 0.0
    count = float(found[2] or 1.0) if found else 0.0
    if found is None or amount <= 0 or count <= 0:
        raise ConfigurationError(
            f'{key}: rate={rate!r} must be an amount and a window: "500/m" for 500 a minute; windows are s, m, h and '
            'd, or several of them, as in "10/15s"'
        )
    return amount, count * WINDOWS[found[3]]


class Rules:
    """All the limits of one task. Nothing is charged where there are none."""

    def __init__(self, task: str, rules: Sequence[Rule] = ()) -> None:
        self._task = task
        self._rules = tuple(rules)
        self.fixed: tuple[Charge, ...] | None = None
        """What every call is charged; None where that depends on its arguments."""
        if not any(_depends(rule) for rule in self._rules):
            self.fixed = self._charges((), {}, dict)

    def charges(self, args: Sequence[Any], kwargs: Mapping[str, Any], named: Arguments) -> tuple[Charge, ...]:
        """What a call with these arguments is charged. ArgumentError where a key or a cost cannot be made of them."""
        return self.fixed if self.fixed is not None else self._charges(args, kwargs, named)

    def _charges(self, args: Sequence[Any], kwargs: Mapping[str, Any], named: Arguments) -> tuple[Charge, ...]:
        charges: list[Charge] = []
        for rule in self._rules:
            try:
                key = rule.key.format_map(named()) if _fields(rule.key) else rule.key.format()
                if isinstance(rule, Rate):
                    cost = rule.cost(*args, **kwargs) if callable(rule.cost) else rule.cost
                    charges.append(rule.charge(key, float(cost)))
                else:
                    charges.append(Slot(key, rule.limit))
            except Exception as error:
                raise ArgumentError(
                    f"{self._task}: what {rule!r} charges this call cannot be told: {type(error).__name__}: {error}"
                ) from error
        return tuple(charges)

    def check(self, function: Callable[..., Any], skip: int) -> None:
        """ConfigurationError where a key names what the function does not take."""
        parameters = list(inspect.signature(function).parameters.values())[skip:]
        names = {one.name for one in parameters}
        if any(one.kind is one.VAR_KEYWORD for one in parameters):
            return
        for rule in self._rules:
            for field in _fields(rule.key):
                if field not in names:
                    raise ConfigurationError(
                        f"{self._task}: the key {rule.key!r} names {field!r}, which is no parameter of the task; it "
                        f"has {', '.join(sorted(names)) or 'none'}"
                    )


def together(several: Iterable[tuple[Charge, ...]]) -> tuple[Charge, ...]:
    """What a chunk is charged, whose items are charged so: all costs, and one slot of each key."""
    charged: dict[tuple[type, str], Charge] = {}
    for charges in several:
        for charge in charges:
            place = type(charge), charge.key
            before = charged.get(place)
            if isinstance(before, ledger.Rate) and isinstance(charge, ledger.Rate):
                charged[place] = msgspec.structs.replace(charge, cost=before.cost + charge.cost)
            else:
                charged[place] = charge
    return tuple(charged.values())


def rules_of(where: str, rate_limit: str | None, limits: Sequence[Rule]) -> tuple[Rule, ...]:
    """What the options `rate_limit` and `limits` come to. ConfigurationError for a key that is limited twice alike."""
    rules: list[Rule] = [*limits] if rate_limit is None else [Rate(_literal(where), rate_limit), *limits]
    seen: set[tuple[type, str]] = set()
    for rule in rules:
        if (type(rule), rule.key) in seen:
            raise ConfigurationError(f"{where}: {rule.key!r} has two limits of the same kind; keep one of them")
        seen.add((type(rule), rule.key))
    return tuple(rules)


def _depends(rule: Rule) -> bool:
    """Whether what it charges depends on a call's arguments."""
    return bool(_fields(rule.key)) or (isinstance(rule, Rate) and callable(rule.cost))


def _literal(key: str) -> str:
    return key.replace("{", "{{").replace("}", "}}")


def _checked_key(key: Any) -> str:
    if not isinstance(key, str) or not key:
        raise ConfigurationError(f"a limit's key is a word, such as 'openai' or 'tenant:{{tenant}}', not {key!r}")
    try:
        fields = _fields(key)
    except ValueError as error:
        raise ConfigurationError(f"the key {key!r} cannot be read: {error}; write {{{{ for a brace") from None
    if not all(fields):
        raise ConfigurationError(f"the key {key!r} has braces without a parameter's name in them")
    if not fields:
        try:
            Slot(key.format(), 1)
        except ValueError as error:
            raise ConfigurationError(str(error)) from None
    return key


def _fields(key: str) -> list[str]:
    """The parameters that a key names."""
    return [re.split(r"[.\[]", field, maxsplit=1)[0] for _, field, _, _ in Formatter().parse(key) if field is not None]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0
