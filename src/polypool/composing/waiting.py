"""Waiting: which member of a group waits for which, by name, and the orders that cannot be."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from polypool.core.error import ConfigurationError

Named = tuple[str | None, tuple[str, ...]]
"""A member's name, and the names of those that it waits for."""


def order_of(members: Sequence[Named]) -> list[int]:
    """The numbers of these members in an order in which they can run. ConfigurationError for a name that two have or
    nobody has, and for members that wait for each other in a circle."""
    if not any(after for _, after in members) and not any(name for name, _ in members):
        return list(range(len(members)))
    numbers = _numbers(members)
    order: list[int] = []
    done: set[int] = set()
    for first in range(len(members)):
        way = [first]
        while way:
            number = way[-1]
            missing = [numbers[name] for name in members[number][1] if numbers[name] not in done]
            if number in done or not missing:
                way.pop()
                if number not in done:
                    done.add(number)
                    order.append(number)
            elif missing[0] in way:
                raise ConfigurationError(_circle(members, way[way.index(missing[0]) :]))
            else:
                way.append(missing[0])
    return order


def checked_name(name: Any) -> str | None:
    """A name by which others wait for a step. ConfigurationError for one that no argument can have."""
    if name is not None and not (isinstance(name, str) and name.isidentifier()):
        raise ConfigurationError(
            f"name={name!r}: the result of a step with a name goes to the argument of that name in those that wait for "
            "it; choose one that an argument can have"
        )
    return name


def checked_names(after: Any) -> tuple[str, ...]:
    """Names that a step waits for, of one or several. ConfigurationError for what is no name."""
    names = (after,) if isinstance(after, str) else tuple(after)
    for name in names:
        if not isinstance(name, str):
            raise ConfigurationError(
                f"after={after!r} must be names of other members of the group, as they are set: "
                'fetch.s(…).set(name="pages"), count.s().set(after=["pages"])'
            )
    return names


def refuse_outside(what: object, waiting: Named, where: str) -> None:
    """ConfigurationError for a part that waits for others by name where there is no group that both are members of."""
    _, after = waiting
    if after:
        raise ConfigurationError(
            f"{what!r} waits for others by name, and it is {where}; only members of one group wait for each other: "
            f'group(fetch.s(…).set(name="{after[0]}"), count.s().set(after=["{after[0]}"])). A step of a chain waits '
            "for the one before it without that"
        )


def _numbers(members: Sequence[Named]) -> Mapping[str, int]:
    numbers: dict[str, int] = {}
    for number, (name, _) in enumerate(members):
        if name is None:
            continue
        if name in numbers:
            raise ConfigurationError(
                f"members {numbers[name]} and {number} of a group are both called {name!r}; names are how others wait "
                "for one of them, so each must be its own"
            )
        numbers[name] = number
    for number, (name, after) in enumerate(members):
        for other in after:
            if other not in numbers:
                raise ConfigurationError(_unknown(name or f"member {number}", other, numbers))
    return numbers


def _unknown(who: str, other: str, numbers: Mapping[str, int]) -> str:
    near = difflib.get_close_matches(other, list(numbers), n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    known = f"there are {', '.join(numbers)}" if numbers else "none has a name: give it one with .set(name=…)"
    return f"{who} waits for {other!r}, and no member of its group is called that{hint}; {known}"


def _circle(members: Sequence[Named], way: list[int]) -> str:
    names = [str(members[number][0]) for number in [*way, way[0]]]
    return (
        f"these members of a group wait for each other in a circle, and none could ever run: {' → '.join(names)} "
        "(each waits for the next)"
    )
