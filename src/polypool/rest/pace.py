"""Pace: how many requests each client may make. Pure: it is told the time."""

from polypool.rest.settings import Rate

MOST_CLIENTS = 10_000
"""Remembered at once. Beyond that those that were longest idle are forgotten, which does them a favour."""


class Pace:
    """So many requests a period for each client, in a burst or spread out (the generic cell rate algorithm,
    ITU-T I.371). One number is kept for each client: when its allowance will be whole again."""

    def __init__(self, rate: Rate) -> None:
        self._interval = rate.period / rate.count
        self._period = rate.period
        self._whole_at: dict[str, float] = {}

    def wait_of(self, client: str, now: float) -> float:
        """0 lets the request through and counts it; else the seconds until the next one may come."""
        whole_at = max(self._whole_at.get(client, now), now)
        wait = whole_at + self._interval - self._period - now
        if wait > 1e-9:
            return wait
        self._whole_at[client] = whole_at + self._interval
        if len(self._whole_at) > MOST_CLIENTS:
            self._forget(now)
        return 0.0

    def _forget(self, now: float) -> None:
        """Down to half, so that this is rare."""
        waiting = sorted((item for item in self._whole_at.items() if item[1] > now), key=lambda item: item[1])
        self._whole_at = dict(waiting[-MOST_CLIENTS // 2 :])
