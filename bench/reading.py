"""Reading: one measured figure over its repetitions, and what it is to reach."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal


class CannotMeasure(RuntimeError):
    """Something that a figure needs is missing or went wrong; the text says what to do."""


@dataclass(frozen=True)
class Reach:
    """A goal: at least or at most so much."""

    sign: Literal["≥", "≤"]
    bound: float

    def is_met(self, value: float) -> bool:
        return value >= self.bound if self.sign == "≥" else value <= self.bound


@dataclass(frozen=True)
class Reading:
    """`samples` in `unit`, one a repetition; their median counts. No `reach`: told for comparison only."""

    what: str
    unit: str
    samples: Sequence[float]
    reach: Reach | None = None
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def is_met(self) -> bool | None:
        return None if self.reach is None else self.reach.is_met(self.median)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "samples": list(self.samples), "median": self.median, "is_met": self.is_met}


@dataclass(frozen=True)
class Extent:
    """How much is measured. `quick` shows in a few seconds that a figure works; its numbers mean little."""

    repeats: int
    is_quick: bool = False
    engine: str = ""
    """Where, for figures that can be measured on several engines: a name or a URL (see anywhere.py)."""
    tasks: int = 0
    """How many, for figures that can be asked for that; 0: as many as usual."""

    def pick(self, full: int, quick: int) -> int:
        return quick if self.is_quick else full


def at_least(bound: float) -> Reach:
    return Reach("≥", bound)


def at_most(bound: float) -> Reach:
    return Reach("≤", bound)
