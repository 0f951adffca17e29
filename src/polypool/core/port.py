"""The ports: what engines and pools must offer, as Protocols.

    Engine    Broker + Results + Bus + Ledger + Inspector, opened from one URL (brokers/)
    Backend   an Engine with Claims: it can stand behind one that only carries messages
    Line      one process's way to the engine (blocking.py in a client, pools/uplink.py in a child)
    Application  the user's app, seen from the child that loaded it

The pools' stand in `core/pool_port.py`. All times are Unix times or spans in seconds. Every batch is answered in its
own order.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Literal, Protocol

import msgspec

from polypool.core.ask import Ask
from polypool.core.event import Event, Page, Record
from polypool.core.ledger import Charge, Ledger
from polypool.core.manifest import Manifest
from polypool.core.measure import Tally
from polypool.core.message import LARGEST_BYTES, Delivery, Lane, Message
from polypool.core.outcome import Replaced, Settlement
from polypool.core.report import Action, Heartbeat, LaneCount, Orders, Search, TaskView, WorkerView


class Traits(msgspec.Struct, frozen=True):
    """What an engine can do. Using what it lacks fails when the app starts, not at the first message."""

    atomic_settle: bool = True
    priorities: bool = True
    delays: bool = True
    results: bool = True
    events: bool = True
    transactions: bool = False
    """`task.using(connection)` sends inside the caller's own transaction: the engine is `core.inside.Transactional`."""
    needs_backend: bool = False
    """Keeps no results itself: the app names a `backend=` beside it."""
    max_message_bytes: int = LARGEST_BYTES


class Broker(Protocol):
    """Moves messages. Batches only; safe to call from several coroutines of one loop at once."""

    @property
    def traits(self) -> Traits: ...

    async def open(self) -> None:
        """Connect and create what is missing. EngineUnreachable, EngineDamaged."""

    async def close(self) -> None:
        """Let everything under way finish, then disconnect. May be called twice."""

    async def put(self, messages: Sequence[Message]) -> Sequence[bool]:
        """Accept messages, all or none durable. False for an id that is already known: putting again is safe.
        EngineFull, EngineUnreachable, MessageTooLarge: nothing was written.

        One that `is_waiting` is scheduled, and in no line, until signals have marked all of its places: each place
        counts once, however often it is marked."""

    async def seal(self, id: str, places: int) -> bool:
        """Say for how many places a step waits that was put with OPEN; it goes to its lane if they are all marked.
        Sealing again changes nothing. False where it waits no longer, for whatever reason, or is unknown."""

    async def take(self, lanes: Sequence[Lane], limit: int, worker: str, wait: float) -> Sequence[Delivery]:
        """Lease up to `limit` due messages, all lanes together, to a worker that has beaten at least once.

        Lanes are emptied in the order given (the worker turns it from call to call); within a lane highest priority
        first, then oldest. Raises each one's token and delivery count. Waits up to `wait` seconds for the
        first; returns at once what there is otherwise. Includes what dead workers held.
        Cancelling the call loses nothing: what it had taken is given back uncounted."""

    async def beat(self, heartbeat: Heartbeat, wait: float = 0.0) -> Orders:
        """Renew a worker's lease and add up its tallies; put back what workers whose lease ended held (delivery
        count kept). Then wait up to `wait` seconds for orders; returns early when there are some."""

    async def settle(self, settlements: Sequence[Settlement]) -> Sequence[bool]:
        """Write each settlement atomically: next state, ending, follow-ups, and what its signals do to the steps that
        waited for it. False, and nothing written, where the token is stale."""

    async def cancel(self, ids: Sequence[str]) -> Sequence[bool]:
        """End what waits as cancelled, which means to the steps behind it what `core.decide.signals` says; ask the
        holder of what runs to cancel it. False for what had ended or is unknown."""


class Results(Protocol):
    """What became of messages."""

    async def read(self, ids: Sequence[str]) -> Sequence[Record | None]:
        """What is known now; None for an unknown id."""

    async def wait(self, ids: Sequence[str], wait: float) -> Sequence[Record]:
        """The records of those that have ended, as soon as there is at least one; empty after `wait` seconds.
        Pushed, not polled. Unknown ids are left out; if all are unknown returns at once."""


class Bus(Protocol):
    """Streams of events, one per task, bounded in length and time to live."""

    async def append(self, events: Sequence[tuple[str, Event]]) -> None:
        """Add (task id, event) pairs, in order, to their streams."""

    async def follow(self, id: str, after: str | None, wait: float) -> Page:
        """Events after a cursor, waiting up to `wait` seconds for the first. The page carries the record once
        the task ended and all of its events are delivered."""


class Claims(Protocol):
    """What an engine offers as the `backend` of one that only carries messages (RabbitMQ): it knows each message's
    state, holds the leases and writes the endings, while another engine brings the bodies to the workers.

    A message is parked while the other engine carries it: `Broker.take` hands it to nobody. It is back in its lane, for
    `take`, once it is settled `Again`, its worker died, or nobody confirmed in time that it is carried; from there it
    is run, and not carried again. A message may be carried in several copies; it is claimed once.
    """

    async def enroll(self, messages: Sequence[Message], confirm_within: float) -> Sequence[bool]:
        """As `Broker.put`, but parked at once, before the other engine has them. Whatever is neither confirmed nor
        claimed within so many seconds goes to its lane by itself: its sender died on the way. What is due later is not
        parked: it waits for its time as ever, and need not be carried before."""

    async def confirm(self, ids: Sequence[str]) -> None:
        """The other engine has these now, durably: they stay parked. Changes nothing for what is claimed already, over
        or unknown, or back in its lane."""

    async def claim(self, messages: Sequence[Message], worker: str) -> Sequence[Delivery | None]:
        """Lease these very messages to a worker that has beaten, as `take` would. An unknown one is put first: the
        other engine kept what this one lost. Messages are returned as they are stored here.

        None: the copy that was claimed with is to be thrown away. The message is over, or held by somebody, or (it is
        due later, or this worker is not alive and was given nothing) parked no longer but back in its lane: whatever
        the reason, nothing depends on the copy any more.

        What ends while it is parked (cancelled, purged) has its copy still to come, perhaps long after its ending was
        forgotten: such an id is remembered for a day, or that copy would be taken for an unknown message and run."""

    async def recall(self, lane: Lane) -> int:
        """Put back in this lane whatever is confirmed to be carried and not claimed: the other engine has lost it, as
        far as can be told (somebody deleted its queue). Where that was wrong a copy is late and is thrown away. How
        many it was."""


class Inspector(Protocol):
    """Looks and acts for people; never used by the worker."""

    async def lanes(self) -> Sequence[LaneCount]: ...
    async def workers(self) -> Sequence[WorkerView]: ...
    async def tallies(self) -> Sequence[Tally]: ...
    async def find(self, search: Search) -> Sequence[TaskView]: ...

    async def act(self, action: Action, search: Search) -> int:
        """`requeue` dead letters, or `purge` (delete) dead letters or what waits; how many it was. `limit` is
        ignored. To the steps behind it what waited and is purged has been cancelled."""


class Engine(Protocol):
    """What one URL opens. An engine may be several of the ports itself."""

    @property
    def place(self) -> str:
        """Where it is, for people: a path, or a host and a name. No password."""

    @property
    def broker(self) -> Broker: ...
    @property
    def results(self) -> Results: ...
    @property
    def bus(self) -> Bus: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def inspector(self) -> Inspector: ...


class Backend(Engine, Protocol):
    """An engine that can stand behind one that needs a backend."""

    @property
    def claims(self) -> Claims: ...


class Answer(Protocol):
    """A reply that will come, from whatever thread. See `polypool.native.Answer`."""

    def result(self, timeout: float | None = None) -> Any: ...
    def __await__(self) -> Any: ...


class Line(Protocol):
    """One process's way to the engine; usable from every thread, greenlet and event loop of the process."""

    def ask(self, ask: Ask) -> Answer:
        """Hand over a request; errors of the engine are raised where the answer is waited for."""


class Arguments(Protocol):
    """A task's parameters: how its arguments are encoded and decoded."""

    def encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """ArgumentError or NotEncodable, naming the parameter; MessageTooLarge, naming the limit."""

    def decode(self, body: bytes) -> tuple[list[Any], dict[str, Any]]:
        """Typed by annotation. ArgumentError when an older or newer sender's arguments do not fit."""

    def decode_with(
        self, body: bytes, before: Sequence[Any], named: Mapping[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """The same of a step that takes other steps' results: in front of its own arguments and by name, each as
        MessagePack or as the `Values` that it is."""

    def decode_items(self, body: bytes, before: Sequence[bytes], each: Literal["item", "tuple"]) -> Sequence[Any]:
        """The items of a chunk: the only argument of a run each, or (`tuple`) a sequence of all of them. ArgumentError,
        its note saying which item."""

    def item_decoder(self, place: int | str) -> Callable[[bytes], Any] | None:
        """How each of a great many values for this parameter is decoded, where they may come as `Values`; None where
        the whole list is wanted. By its number among the positional ones, or its name."""


class Runnable(Protocol):
    """A task, as far as a child needs it."""

    @property
    def name(self) -> str: ...
    @property
    def function(self) -> Callable[..., Any]: ...
    @property
    def is_async(self) -> bool: ...
    @property
    def streams(self) -> bool:
        """Whether it is a generator: what it yields is its stream."""

    @property
    def arguments(self) -> Arguments: ...
    @property
    def autoretry_for(self) -> tuple[type[BaseException], ...]: ...
    @property
    def bind(self) -> bool:
        """Whether the function gets the task itself as its first argument."""

    def charges(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Charge, ...]:
        """What its limits charge a run with these arguments. ArgumentError."""

    def charges_of_each(self, items: Sequence[Any], spreads: bool) -> tuple[Charge, ...]:
        """The same of a chunk."""


Lifespan = Callable[[Any], AbstractAsyncContextManager[Any] | AbstractContextManager[Any]]
Middleware = Callable[..., Any]


class Application(Protocol):
    """The user's app, as far as a child needs it."""

    @property
    def tasks(self) -> Mapping[str, Runnable]: ...
    @property
    def lifespan(self) -> Lifespan | None: ...
    @property
    def middleware(self) -> Sequence[Middleware]: ...

    def manifest(self) -> Manifest: ...

    def use(self, line: Line) -> None:
        """From now on send through this line (a child's uplink) instead of a connection of its own."""

    def replacement(self, value: Any, message: Message) -> Replaced | None:
        """The workflow that a run of this message returned, as what is to be sent instead of its ending; None where the
        value is an ordinary one. SendError, ConfigurationError."""
