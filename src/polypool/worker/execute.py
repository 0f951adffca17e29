"""Execution: brings deliveries into pools and their outcomes to the settler. The one place that ends a run."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any

from polypool.brokers.answer import answer, converse
from polypool.core.ask import Ask, Spend, Written
from polypool.core.decide import decide, refuse
from polypool.core.error import EngineError
from polypool.core.event import Event
from polypool.core.late import looked_back, looks_back
from polypool.core.message import Delivery
from polypool.core.outcome import Cancelled, Deferred, Lost, Outcome, Settlement
from polypool.core.pool_port import Pool
from polypool.core.port import Engine
from polypool.results.cancelling import cancel_returned
from polypool.worker.admit import Admission
from polypool.worker.book import Book
from polypool.worker.settle import Settler

logger = logging.getLogger("polypool.worker")


class Execution:
    """What this worker holds, from take to settle. A PoolWatcher for all of its pools."""

    def __init__(
        self,
        engine: Engine,
        settler: Settler,
        book: Book,
        room: Callable[[str], None],
        worker: str = "",
        lease: float = 30.0,
    ) -> None:
        self._engine = engine
        self._settler = settler
        self._book = book
        self._room = room
        # By token too: a worker that was fenced off may be given a message again before its former run has ended.
        self._held: dict[tuple[str, int], tuple[Delivery, Pool]] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self.known_tasks: Mapping[str, Any] = {}
        self.admission = Admission(engine.ledger, worker, lease, self._admitted, self._put_off)
        """Where those wait that limits hold back; nobody waits there whose task has none."""

    @property
    def held(self) -> int:
        return len(self._held)

    @property
    def asking(self) -> int:
        """What children asked for and has not been answered."""
        return len(self._asking)

    def start(self, deliveries: Sequence[Delivery], pool: Pool) -> None:
        """Run these in a pool; what must not be run is settled at once."""
        now = time.time()
        runnable: list[Delivery] = []
        for delivery in deliveries:
            if looks_back(delivery):
                self._soon(self._look_back(delivery, pool))
            elif self._refused(delivery, pool, now):
                pass
            elif delivery.message.charges:
                self.admission.add(delivery, pool)
            else:
                self._held[delivery.id, delivery.token] = (delivery, pool)
                runnable.append(delivery)
        if runnable:
            pool.run(runnable)

    def give_back_waiting(self) -> None:
        """Return those that limits hold back: this worker leaves."""
        self.give_back([delivery for delivery, _ in self.admission.forget()])

    def give_back(self, deliveries: Sequence[Delivery]) -> None:
        """Return what was taken and cannot be run here now, uncounted."""
        for delivery in deliveries:
            self._settler.add(decide(delivery, Deferred(), time.time(), random.random))

    def cancel(self, ids: Collection[str]) -> None:
        wanted = set(ids)
        for delivery, pool in self.admission.forget(wanted):
            self._refuse(delivery, Cancelled(), pool.kind)
        for id, pool in {(id, pool): None for (id, _), (_, pool) in self._held.items() if id in wanted}:
            pool.cancel(id)

    def abandon(self) -> None:
        """End every run: other workers hold these messages now, and what is settled here will be refused."""
        self.admission.forget()
        self.cancel({id for id, _ in self._held})

    # PoolWatcher

    def ended(self, delivery: Delivery, outcome: Outcome) -> None:
        _, pool = self._held.pop((delivery.id, delivery.token))
        if isinstance(outcome, Lost):
            logger.warning(
                "%s %s was lost in run %d: %s", delivery.message.task, delivery.id, delivery.attempt, outcome.reason
            )
        if delivery.message.charges:
            self.admission.ended(delivery, outcome)
        self._settle(delivery, outcome, pool.kind)
        self._room(pool.kind)

    def emitted(self, id: str, events: Sequence[Event]) -> None:
        self._settler.add_events(id, events)

    def asked(self, ask: Ask, reply: Callable[[Any, Exception | None], None]) -> Callable[[], object]:
        if isinstance(ask, Spend):
            reply(self.admission.spend(ask), None)
            return _nothing
        asking = asyncio.ensure_future(self._answer(ask, reply))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        return asking.cancel

    def blocked(self, task: str, id: str, seconds: float, stack: str) -> None:
        kind = next((pool.kind for delivery, pool in self._held.values() if delivery.id == id), "")
        logger.warning(
            "task %s (%s) has blocked its %s loop for %.1f s and nothing else runs there; move the blocking part to a "
            'def task, or give this one pool="threads" or pool="prefork". It is at:\n%s',
            task, id, kind, seconds, stack,
        )  # fmt: skip
        self._book.count_blocked(task, kind)

    def _admitted(self, deliveries: Sequence[Delivery], pool: Pool) -> None:
        """Their limits let these pass; some may have expired while they waited."""
        now = time.time()
        runnable: list[Delivery] = []
        for delivery in deliveries:
            if self._refused(delivery, pool, now):
                self.admission.ended(delivery, Deferred())
            else:
                self._held[delivery.id, delivery.token] = (delivery, pool)
                runnable.append(delivery)
        if runnable:
            pool.run(runnable)

    def _put_off(self, delivery: Delivery, until: float) -> None:
        self._settler.add(decide(delivery, Deferred(until), time.time(), random.random))

    def _refused(self, delivery: Delivery, pool: Pool, now: float) -> bool:
        """Whether it must not be run; then it is settled."""
        outcome = refuse(delivery, self.known_tasks, now)
        if outcome is None:
            return False
        self._refuse(delivery, outcome, pool.kind)
        return True

    def _refuse(self, delivery: Delivery, outcome: Outcome, kind: str) -> None:
        self._settle(delivery, outcome, kind)
        flow = delivery.message.flow
        if isinstance(outcome, Cancelled) and flow is not None and flow.replacement is not None:
            # It was cancelled while it ran, and returned a workflow before it knew: nobody else ends that.
            self._soon(self._cancel_returned(delivery.id, flow.replacement))

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        ending = asyncio.ensure_future(work)
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def _look_back(self, delivery: Delivery, pool: Pool) -> None:
        """End a step as another one did, if that is over; there is nothing in it to run."""
        try:
            seen = await converse(self._engine, looked_back(delivery))
        except EngineError as error:
            logger.warning("%s is looked at again, the engine is away: %s", delivery.id, error)
            self.give_back([delivery])
        else:
            self._refused(seen, pool, time.time())

    async def _cancel_returned(self, id: str, replacement: bytes) -> None:
        try:
            await converse(self._engine, cancel_returned(id, replacement))
        except EngineError as error:
            logger.warning("%s was cancelled; the workflow that it had returned goes on: %s", id, error)

    async def _answer(self, ask: Ask, reply: Callable[[Any, Exception | None], None]) -> None:
        try:
            if isinstance(ask, Written):
                await self._settler.events_written()
            answered = await answer(self._engine, ask)
        except Exception as error:  # the child raises it at whoever asked
            reply(None, error)
        else:
            reply(answered, None)

    def _settle(self, delivery: Delivery, outcome: Outcome, kind: str) -> None:
        self._book.count(delivery, kind, outcome)
        self._settler.add(decide(delivery, outcome, time.time(), random.random))


def _nothing() -> None:
    """What takes back an ask that is answered already."""


def log_stale(settlement: Settlement) -> None:
    """Say that a settlement came too late: the engine had given the message to another worker, or it was purged."""
    delivery = settlement.delivery
    logger.warning(
        "%s %s: this run's ending was not written, its lease was over and the message is another worker's now",
        delivery.message.task, delivery.id,
    )  # fmt: skip
