"""Member: one child of a pool, seen from the supervisor: what it holds and how much more it may be given."""

import asyncio
import contextlib
import enum
import logging
import os
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from polypool.core.ask import Ask, Await, Follow
from polypool.core.ask import Reply as Answered
from polypool.core.codec import encode
from polypool.core.message import Delivery
from polypool.core.outcome import Deferred, Lost, Outcome
from polypool.core.pool_port import PoolWatcher
from polypool.pools.child_link import ChildLink
from polypool.pools.page import DUMP, Page
from polypool.pools.template import Kin, Template, kill
from polypool.pools.wire import (
    Aside,
    Asked,
    Begin,
    Blocked,
    Cancel,
    Emitted,
    Finished,
    GivenUp,
    Heavy,
    Leave,
    Ready,
    Recall,
    Recalled,
    Reply,
    Unfit,
    Up,
)

log = logging.getLogger("polypool.pools")


class Stage(enum.Enum):
    STARTING = "starting"
    READY = "ready"
    LEAVING = "leaving"
    DOOMED = "doomed"
    """Killed on purpose; its exit is awaited."""
    GONE = "gone"


class Size(msgspec.Struct, frozen=True):
    """How large a child may be: calls at once, and bytes before it is replaced."""

    kind: str
    concurrency: int
    max_memory: int | None
    blocked_after: float


class Home(Protocol):
    """The pool, as its members see it."""

    def became_ready(self, member: "Member") -> None: ...
    def finished(self, member: "Member", delivery: Delivery, outcome: Outcome) -> None: ...
    def returned(self, member: "Member", deliveries: list[Delivery]) -> None: ...
    def heard(self, member: "Member") -> None:
        """All of what it said at once has been passed on."""

    def has_room(self, member: "Member") -> None:
        """A call steps aside."""

    def heavy(self, member: "Member", memory: int) -> None: ...
    def gone(self, member: "Member", reason: str) -> None: ...


class Member:
    """Begins calls in one child and reports each one's end exactly once."""

    def __init__(self, template: Template, size: Size, home: Home, watcher: PoolWatcher) -> None:
        self.template = template
        self.size = size
        self.stage = Stage.STARTING
        self.held: dict[int, Delivery] = {}
        self._aside: set[int] = set()
        """Of those, the calls that wait for other tasks and hold no slot meanwhile."""
        self._asking: dict[int, Callable[[], object]] = {}
        """How to give up what its calls wait for."""
        self.begun_count = 0
        self.is_recalling = False
        self.last_news = time.monotonic()
        self.pid: int | None = None
        self.was_ready = False
        self.was_killed = False
        """On purpose, by the supervisor."""
        self.exited: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._unfit: str | None = None
        self._home = home
        self._watcher = watcher
        self._last_number = 0
        self._verdicts: dict[int, Outcome] = {}
        newborn = template.bear(
            size.kind, size.concurrency, size.max_memory, size.blocked_after, Kin(self._born, self._gone)
        )
        self._page = Page(newborn.page_fd)
        self._link = ChildLink(newborn.end, self._hear, self._hung_up)

    @property
    def free(self) -> int:
        """Slots without a call; negative by what it holds ahead."""
        return self.size.concurrency - len(self.held) + len(self._aside)

    @property
    def busy(self) -> int:
        """Calls that hold a slot or stand ahead of one."""
        return len(self.held) - len(self._aside)

    @property
    def running(self) -> int:
        """Calls under way, without those that wait for other tasks."""
        begun = self._page.begun if self.held else 0
        return sum(number <= begun for number in self.held) - len(self._aside)

    def begin(self, delivery: Delivery) -> int:
        """Give it a call; its number in this child."""
        self._last_number = number = self._last_number + 1
        if not self.held:
            self.last_news = time.monotonic()
        self.held[number] = delivery
        self.begun_count += 1
        self._link.send(Begin(number, delivery.token, delivery.deliveries, delivery.body))
        return number

    def has_begun(self, number: int) -> bool:
        return number <= self._page.begun

    def recall(self) -> None:
        """Ask back what it holds and has not begun."""
        begun = self._page.begun
        numbers = [number for number in self.held if number > begun]
        if numbers:
            self.is_recalling = True
            self._link.send(Recall(numbers))

    def cancel(self, number: int) -> None:
        self._link.send(Cancel(number))

    @property
    def pulse(self) -> int:
        """When its own threads last ran (monotonic nanoseconds); 0 while nobody need know."""
        return self._page.pulse if self.held and self.stage is not Stage.GONE else 0

    def ask_stack(self) -> None:
        """Have the signal handler write where its main thread is."""
        self._page.clear_stack()
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, DUMP)

    @property
    def stack(self) -> str:
        return self._page.stack

    def leave(self) -> None:
        """Have it exit once the calls it holds have ended."""
        if self.stage in (Stage.STARTING, Stage.READY):
            self.stage = Stage.LEAVING
            self._link.send(Leave())

    def kill(self, verdicts: dict[int, Outcome]) -> None:
        """End it at once: calls get their verdict, or go back uncounted."""
        if self.stage is Stage.GONE:
            return
        self._verdicts.update(verdicts)
        self.stage, self.was_killed = Stage.DOOMED, True
        if self.pid is not None:
            kill(self.pid)

    def _hear(self, items: list[Up]) -> None:
        for item in items:
            if type(item) is Finished:
                delivery = self.held.pop(item.number, None)
                if self._aside:
                    self._aside.discard(item.number)
                if delivery is not None:
                    self._home.finished(self, delivery, item.outcome)
            elif type(item) is Emitted:
                self._watcher.emitted(item.id, (item.event,))
            elif type(item) is Asked:
                self._ask(item.number, item.ask)
            else:
                self._hear_other(item)
        self.last_news = time.monotonic()
        self._home.heard(self)

    def _hear_other(self, item: Up) -> None:
        match item:
            case GivenUp(number):
                self._give_up(number)
            case Aside(number, is_waiting):
                self._stand_aside(number, is_waiting)
            case Recalled(numbers):
                self.is_recalling = False
                back = [self.held.pop(number) for number in numbers if number in self.held]
                self._home.returned(self, back)
            case Ready(pid):
                self.pid = pid
                if self.stage is Stage.STARTING:
                    self.stage, self.was_ready = Stage.READY, True
                    self._home.became_ready(self)
            case Unfit(reason):
                self._unfit = reason
            case Blocked(number, seconds, stack, is_over):
                if is_over:
                    log.info("the %s loop of child %s turns again after %.1f s", self.size.kind, self.pid, seconds)
                else:
                    self.tell_blocked(number, seconds, stack)
            case Heavy(memory):
                self._home.heavy(self, memory)
            case _:
                log.error("a %s child said something unexpected: %r", self.size.kind, item)

    def _ask(self, number: int, ask: Ask) -> None:
        give_up = self._watcher.asked(ask, lambda value, error: self._reply(number, value, error))
        if isinstance(ask, Await | Follow):  # anything else is done, whoever still waits for it
            self._asking[number] = give_up

    def _give_up(self, number: int) -> None:
        give_up = self._asking.pop(number, None)
        if give_up is not None:
            give_up()

    def _stand_aside(self, number: int, is_waiting: bool) -> None:
        if not is_waiting:
            self._aside.discard(number)
        elif number in self.held:
            self._aside.add(number)
            self._home.has_room(self)

    def _reply(self, number: int, value: Answered | None, error: Exception | None) -> None:
        self._asking.pop(number, None)
        if error is not None:
            self._link.send(Reply(number, b"", (type(error).__name__, str(error))))
        else:
            self._link.send(Reply(number, encode(value)))

    def tell_blocked(self, number: int, seconds: float, stack: str) -> None:
        """Pass on that its loop does not turn. Number 0: whose fault it is is not known."""
        delivery = self.held.get(number)
        if delivery is None and len(self.held) == 1:
            delivery = next(iter(self.held.values()))
        task, id = (delivery.message.task, delivery.id) if delivery is not None else ("?", "")
        self._watcher.blocked(task, id, seconds, stack)

    def _born(self, pid: int) -> None:
        self.pid = pid
        if self.stage is Stage.DOOMED:
            kill(pid)

    def _hung_up(self) -> None:
        """Its end of the socket is closed, but only the template knows whether the process has ended."""
        if self.stage is not Stage.GONE:
            asyncio.get_running_loop().call_later(1.0, self._insist)

    def _insist(self) -> None:
        if self.stage is not Stage.GONE and self.pid is not None:
            kill(self.pid)

    def _gone(self, status: int | None, reason: str) -> None:
        if status is None and self.pid is not None:
            kill(self.pid)  # its template is gone, so nobody else would know of it
        self._link.drain()
        self._link.close()
        self.stage = Stage.GONE
        begun = self._page.begun
        self._page.close()
        asking, self._asking = self._asking, {}
        for give_up in asking.values():
            give_up()
        self._aside.clear()
        held, self.held = self.held, {}
        for number, delivery in held.items():
            if number in self._verdicts:
                outcome = self._verdicts[number]
            elif number <= begun and not self.was_killed:
                outcome = Lost(reason)
            else:
                outcome = Deferred()
            self._home.finished(self, delivery, outcome)
        self.exited.set_result(None)
        self._home.gone(self, self._unfit or reason)
