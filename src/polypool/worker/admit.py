"""Admission: lets deliveries begin that their limits let pass, and keeps the books of their reservations."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from polypool.core.ask import Spend
from polypool.core.ledger import Adapt, Correction, Ledger, Pause, Rate, Release, Reservation, Slot
from polypool.core.message import Delivery
from polypool.core.outcome import Deferred, Limited, Outcome
from polypool.core.pool_port import Pool
from polypool.limits.gate import Gate, Ticket
from polypool.worker.backoff import until_reached

RENEWS_PER_LEASE = 3
"""As often as heartbeats come, so that a hold lasts as long as its worker's lease."""

Waiter = tuple[Delivery, Pool]

logger = logging.getLogger("polypool.worker")


@dataclass
class _Held:
    """A reservation that was granted: when, what it reserved of each key, and what the run said that it used."""

    at: float
    costs: dict[str, float]
    used: dict[str, float] = field(default_factory=dict)


class Admission:
    """The gate before the pools. Who waits here holds no slot; who would wait for long is put off, to be taken again
    shortly before its turn."""

    def __init__(
        self,
        ledger: Ledger,
        worker: str,
        lease: float,
        admitted: Callable[[Sequence[Delivery], Pool], None],
        put_off: Callable[[Delivery, float], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ledger = ledger
        self._worker = worker
        self._lease = lease
        self._admitted = admitted
        self._put_off = put_off
        self._clock = clock
        self._gate: Gate[Waiter] = Gate()
        self._pools: dict[str, Pool] = {}
        self._asking: list[Ticket[Waiter]] = []
        self._forgotten: set[str] = set()
        """Reservations that are being asked for and wanted no more."""
        self._held: dict[str, _Held] = {}
        """Reservations that were granted, of runs that have not ended."""
        self._corrections: list[Correction] = []
        self._releases: list[Release] = []
        self._adjustments: list[Pause | Adapt] = []
        self._has_work = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._renewed_at = 0.0

    def __len__(self) -> int:
        return len(self._gate) + len(self._asking)

    def asking(self, kind: str) -> int:
        """Slots of this pool that are promised to those who ask at the moment."""
        return sum(1 for ticket in self._asking if ticket.pool == kind) if self._asking else 0

    def add(self, delivery: Delivery, pool: Pool) -> None:
        """Have one begin as soon as its limits let it."""
        message = delivery.message
        self._pools[pool.kind] = pool
        reservation = Reservation(_run_of(delivery), message.charges or ())
        self._gate.add(reservation, pool.kind, message.priority, message.sent_at, (delivery, pool))
        self._has_work.set()

    def forget(self, ids: Collection[str] | None = None) -> list[Waiter]:
        """Let these wait no longer, or all; who they were."""
        gone = self._gate.remove(lambda waiter: ids is None or waiter[0].id in ids)
        for ticket in self._asking:
            if (ids is None or ticket.what[0].id in ids) and ticket.reservation.id not in self._forgotten:
                self._forgotten.add(ticket.reservation.id)
                gone.append(ticket.what)
        return gone

    def spend(self, spend: Spend) -> bool:
        """A run used so much of a limit. More than was reserved is owed at once; less comes back when the run ends, as
        it may go on to use more."""
        run = f"{spend.id}:{spend.token}"
        held = self._held.get(run)
        if held is None:
            return False
        used = held.used[spend.key] = held.used.get(spend.key, 0.0) + spend.used
        if used > held.costs.get(spend.key, 0.0):
            self._corrections.append(Correction(run, spend.key, used))
            self._wake()
        return True

    def ended(self, delivery: Delivery, outcome: Outcome) -> None:
        """A run is over: its slots are free, its costs are spent."""
        run = _run_of(delivery)
        now = self._clock()
        held = self._held.pop(run, None)
        if held is not None:
            self._corrections += [Correction(run, key, used) for key, used in held.used.items()]
            self._releases.append(Release(run, was_used=not isinstance(outcome, Deferred)))
            for charge in delivery.message.charges or ():
                if isinstance(charge, Slot):
                    self._gate.freed(charge.key, now - held.at)
        if isinstance(outcome, Limited):
            self._adjustments += [*outcome.pauses, *outcome.adapts]
            for pause in outcome.pauses:
                self._gate.paused(pause.key, now + pause.seconds)
        self._wake()

    def notice_room(self) -> None:
        """A slot may be free."""
        if len(self._gate):
            self._has_work.set()

    async def drained(self) -> None:
        """Wait until all that ended is written."""
        await self._is_idle.wait()

    async def run(self) -> None:
        """Admit for ever; ends by being cancelled."""
        while True:
            await self._next()
            self._has_work.clear()
            await until_reached("keep the books of limits", self.step)

    async def step(self) -> None:
        """One turn: write what ended, ask for those who may ask, put off who waits too long."""
        await self._write()
        await self._renew()
        while self._choose():
            await self._ask()
        for (delivery, _), until in ((later.ticket.what, later.until) for later in self._gate.surplus(self._clock())):
            self._put_off(delivery, until)

    def next_at(self) -> float | None:
        """When there is something to do, if nobody comes and nothing ends before; None: never."""
        times = [self._gate.opens_at(self._room)]
        if self._held:
            times.append(self._renewed_at + self._lease / RENEWS_PER_LEASE)
        return min((at for at in times if at is not None), default=None)

    def _wake(self) -> None:
        self._is_idle.clear()
        self._has_work.set()

    async def _next(self) -> None:
        at = self.next_at()
        try:
            async with asyncio.timeout(None if at is None else max(at - self._clock(), 0.0)):
                await self._has_work.wait()
        except TimeoutError:
            return

    def _room(self, kind: str) -> int:
        return self._pools[kind].free()

    def _choose(self) -> bool:
        """Who is to ask, unless an engine that went away left some who still do."""
        if not self._asking:
            self._asking = self._gate.asks(self._clock(), self._room)
        return bool(self._asking)

    async def _ask(self) -> None:
        reservations = [ticket.reservation for ticket in self._asking]
        grants = await self._ledger.reserve(self._worker, self._lease, reservations)
        now = self._renewed_at = self._clock()
        asked, self._asking = self._asking, []
        forgotten, self._forgotten = self._forgotten, set()
        begin: dict[str, list[Delivery]] = {}
        for ticket, grant in zip(asked, grants, strict=True):
            run, (delivery, pool) = ticket.reservation.id, ticket.what
            if not grant:
                if run not in forgotten:
                    self._gate.refused(ticket, grant, now)
            elif run in forgotten:
                self._releases.append(Release(run, was_used=False))
                self._wake()
            else:
                costs = {charge.key: charge.cost for charge in ticket.reservation.charges if isinstance(charge, Rate)}
                self._held[run] = _Held(now, costs)
                begin.setdefault(pool.kind, []).append(delivery)
        for kind, deliveries in begin.items():
            self._admitted(deliveries, self._pools[kind])

    async def _renew(self) -> None:
        now = self._clock()
        if not self._held or now < self._renewed_at + self._lease / RENEWS_PER_LEASE:
            return
        if not await self._ledger.renew(self._worker, self._lease):
            logger.warning("silent for longer than its lease of %g s: its slots in limits are others' now", self._lease)
        self._renewed_at = now

    async def _write(self) -> None:
        """What is handed over stays in its list until the engine has it: corrections first, they need what they
        correct."""
        while self._corrections or self._releases or self._adjustments:
            if adjustments := self._adjustments[:]:
                await self._ledger.adjust(adjustments)
                del self._adjustments[: len(adjustments)]
            count = len(self._releases)
            if corrections := self._corrections[:]:
                await self._ledger.correct(self._worker, corrections)
                del self._corrections[: len(corrections)]
            if releases := self._releases[:count]:
                await self._ledger.release(self._worker, releases)
                del self._releases[:count]
        self._is_idle.set()


def _run_of(delivery: Delivery) -> str:
    """The name of a reservation: a run that is done again is charged again, a provider counts it twice as well."""
    return f"{delivery.id}:{delivery.token}"
