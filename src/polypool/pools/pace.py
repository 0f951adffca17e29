"""Pace: how long tasks take, and so how many calls a child may hold beyond those it runs. Pure."""

AHEAD_SECONDS = 0.05
"""Measured work a child may be given ahead: enough to hide the way to the supervisor and back, too little to matter
when another worker is idle."""
MOST_AHEAD = 1000
_WEIGHT = 0.1


class Pace:
    """Running means of wall seconds, of each task and of the pool's present mix."""

    __slots__ = ("_mix", "_walls")

    def __init__(self) -> None:
        self._walls: dict[str, float] = {}
        self._mix: float | None = None

    def measured(self, task: str, wall: float) -> None:
        """Take a run into the means."""
        mean = self._walls.get(task)
        self._walls[task] = wall if mean is None else mean + _WEIGHT * (wall - mean)
        self._mix = wall if self._mix is None else self._mix + _WEIGHT * (wall - self._mix)

    def expected(self, task: str) -> float | None:
        """Seconds a run of this task takes; None before the first."""
        return self._walls.get(task)

    def forget_mix(self) -> None:
        """The mix has changed for the worse: nothing is given ahead until runs have ended again."""
        self._mix = None

    def allowance(self, concurrency: int) -> int:
        """How many calls of the present mix are work for AHEAD_SECONDS."""
        return ahead(self._mix, concurrency)


def ahead(wall: float | None, concurrency: int) -> int:
    """How many calls of `wall` seconds each keep `concurrency` slots busy for AHEAD_SECONDS."""
    if wall is None or wall >= AHEAD_SECONDS:
        return 0
    return min(MOST_AHEAD, int(AHEAD_SECONDS * concurrency / max(wall, 1e-6)))
