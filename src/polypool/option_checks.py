"""Option checks: what single options may be, and the words for what they may not be. Each takes where the option
stands, its name and its value, and returns what is kept."""

import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from polypool.core.error import ConfigurationError


def in_seconds(where: str, name: str, value: Any) -> float:
    """A span, as seconds; 0 is one too."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not math.isfinite(seconds) or seconds < 0:
        raise ConfigurationError(
            f"{where}: {name}={value!r} must be a number of seconds (or a timedelta), not negative"
        )
    return float(seconds)


def seconds_above_zero(where: str, name: str, value: Any) -> float:
    """A span that leaves some time."""
    seconds = in_seconds(where, name, value)
    if seconds == 0:
        raise ConfigurationError(f"{where}: {name}=0 leaves no time at all; leave it out to have no limit")
    return seconds


def limit(where: str, name: str, value: Any) -> float | None:
    """A limit in seconds; None is none."""
    return None if value is None else seconds_above_zero(where, name, value)


def whole(lowest: int, highest: int | None = None) -> Callable[[str, str, Any], int]:
    """A check for whole numbers within these bounds."""

    def check(where: str, name: str, value: Any) -> int:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if not is_whole or value < lowest or (highest is not None and value > highest):
            span = f"from {lowest} to {highest}" if highest is not None else f"of at least {lowest}"
            raise ConfigurationError(f"{where}: {name}={value!r} must be a whole number {span}")
        return int(value)

    return check


def yes_or_no(where: str, name: str, value: Any) -> bool:
    """A bool."""
    if not isinstance(value, bool):
        raise ConfigurationError(f"{where}: {name}={value!r} must be True or False")
    return value


def word(where: str, name: str, value: Any) -> str:
    """A name that can stand in a list on a command line."""
    if not isinstance(value, str) or not value or len(value) > 200 or not value.isprintable() or "," in value:
        raise ConfigurationError(f"{where}: {name}={value!r} must be a word of 1 to 200 characters without commas")
    return value


def classes(where: str, name: str, value: Any) -> tuple[type[BaseException], ...]:
    """A class of exceptions, or several."""
    classes = (value,) if isinstance(value, type) else value
    if not isinstance(classes, tuple | list) or not all(_is_error_class(one) for one in classes):
        raise ConfigurationError(f"{where}: {name}={value!r} must be a tuple of exception classes, as in (OSError,)")
    return tuple(classes)


def _is_error_class(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseException)
