"""Figures as people read them: spans, shares and sizes in a few characters."""

import math

from polypool.core.measure import LONGEST

UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


def span(seconds: float | None) -> str:
    """A duration with two or three digits: 870 µs, 12.3 ms, 41.6 s, 3.1 min. Infinite is what no histogram reaches."""
    if seconds is None or math.isnan(seconds):
        return "–"
    if math.isinf(seconds):
        return f"> {LONGEST / 60:.0f} min"
    for size, unit in UNITS:
        if seconds >= 2 * size:
            return f"{_digits(seconds / size)} {unit}"
    if seconds >= 1 or seconds == 0:
        return f"{_digits(seconds)} s"
    if seconds >= 1e-3:
        return f"{_digits(seconds * 1e3)} ms"
    return f"{_digits(seconds * 1e6)} µs"


def ago(seconds: float) -> str:
    """How long something has been over; clocks of two machines may make that a little less than nothing."""
    return "now" if seconds < 1 else f"{span(seconds)} ago"


def percent(share: float | None) -> str:
    """A share of one as percent."""
    if share is None:
        return "–"
    if 0 < share < 0.01:
        return "< 1 %"
    return f"{share * 100:.0f} %"


def size(count: int | None) -> str:
    """Bytes as MB."""
    return "–" if count is None else f"{count / 1_000_000:,.0f} MB"


def number(value: float | None) -> str:
    """A figure with two or three digits."""
    return "–" if value is None or math.isnan(value) else _digits(value)


def _digits(value: float) -> str:
    if value == int(value) or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}" if value < 1 else f"{value:.2f}".rstrip("0").rstrip(".")
