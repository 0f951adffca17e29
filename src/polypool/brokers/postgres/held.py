"""Held: what reached this process, so that what did not is given back: claims whose answer was lost."""

import time
from collections.abc import Iterable

from polypool.brokers.postgres.session import Connection
from polypool.core.message import Delivery

DOUBTED = 60.0
"""Seconds for which the server may still come to do what a lost connection had asked for."""


class Held:
    """Deliveries of all workers of this process, from their claim until they are settled."""

    def __init__(self) -> None:
        self._here: set[tuple[int, int]] = set()
        self._doubts: dict[str, float] = {}

    def reached(self, deliveries: Iterable[Delivery]) -> None:
        """To be said within the job that claimed them, before another one can look."""
        self._here.update((one.handle, one.token) for one in deliveries)

    def left(self, held: Iterable[tuple[int, int]]) -> None:
        """Settled, refused or given back."""
        self._here.difference_update(held)

    def doubt(self, worker: str, deliveries: Iterable[Delivery] = ()) -> None:
        """A claim failed or was given up: the server may count as held what nobody here has heard of."""
        self.left((one.handle, one.token) for one in deliveries)
        self._doubts[worker] = time.monotonic() + DOUBTED

    async def give_back_unheard(self, connection: Connection, worker: str) -> None:
        """Where there is doubt: what this worker holds by the tables and not here waits again, uncounted."""
        until = self._doubts.get(worker)
        if until is None:
            return
        here = list(self._here)
        await connection.rows("give_back_unheard", worker, [seq for seq, _ in here], [token for _, token in here])
        if time.monotonic() > until:
            self._doubts.pop(worker, None)
