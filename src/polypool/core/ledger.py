"""The ledger: its words and its port. What limits, unique keys and ticks of a schedule have the engine count.

All spans are in seconds, and the engine's clock counts them, so the machines' clocks need not agree. A key is a word of
the user's, such as `openai-tokens` or `tenant:42`.
"""

import math
from collections.abc import Sequence
from typing import Protocol

import msgspec

LONGEST_KEY = 1000
"""Bytes, of keys, ids and names."""


class Rate(msgspec.Struct, frozen=True, array_like=True, tag="rate"):
    """A charge on a key through which `amount` may pass in `per` seconds, evenly, and up to `burst` at once.

    In any window of `per` seconds no more than `amount + burst` is granted: what was charged, less what was given back
    within it. A single cost above `burst` waits until the key is unused, and counts as a burst of its own.
    """

    key: str
    amount: float
    per: float
    cost: float = 1.0
    burst: float = 1.0
    is_estimate: bool = False
    """A guess that `correct` replaces by the real cost. Until then it is given back where the holder dies."""

    def __post_init__(self) -> None:
        _check_key(self.key)
        for name in ("amount", "per", "burst"):
            _check_number(self.key, name, getattr(self, name))
        _check_number(self.key, "cost", self.cost, may_be_zero=True)


class Slot(msgspec.Struct, frozen=True, array_like=True, tag="slot"):
    """A charge on a key that at most `limit` may hold at a time."""

    key: str
    limit: int

    def __post_init__(self) -> None:
        _check_key(self.key)
        _check_number(self.key, "limit", self.limit)


Charge = Rate | Slot


class Reservation(msgspec.Struct, frozen=True):
    """Several charges, of which all are granted or none. The id is the caller's: asking again with it is answered
    alike, and charged once."""

    id: str
    charges: tuple[Charge, ...]

    def __post_init__(self) -> None:
        _check_key(self.id)


class Grant(msgspec.Struct, frozen=True):
    """The answer to a reservation; true where it was granted."""

    key: str | None = None
    """The key that stands in the way."""
    wait: float | None = None
    """Seconds after which asking again makes sense. None: a slot is missing, which comes back when one is released."""

    def __bool__(self) -> bool:
        return self.key is None


class Correction(msgspec.Struct, frozen=True):
    """What a reservation's charge on a key cost in truth. Above what was reserved it is owed: others wait longer."""

    id: str
    key: str
    cost: float

    def __post_init__(self) -> None:
        _check_number(self.key, "cost", self.cost, may_be_zero=True)


class Release(msgspec.Struct, frozen=True):
    """The end of a reservation: its slots are free. `was_used`: its cost is spent; otherwise that comes back too."""

    id: str
    was_used: bool = True


class Pause(msgspec.Struct, frozen=True):
    """Nobody is granted this key for so long, as a provider's Retry-After says. Of several the longest counts; 0 lifts
    it."""

    key: str
    seconds: float

    def __post_init__(self) -> None:
        _check_key(self.key)
        _check_number(self.key, "seconds", self.seconds, may_be_zero=True)


class Adapt(msgspec.Struct, frozen=True):
    """For `seconds` another limit counts for this key than those who charge it say: `amount` in `per` seconds, or
    `amount` slots. 0 seconds lift it."""

    key: str
    amount: float
    per: float
    seconds: float

    def __post_init__(self) -> None:
        _check_key(self.key)
        _check_number(self.key, "amount", self.amount)
        _check_number(self.key, "per", self.per)
        _check_number(self.key, "seconds", self.seconds, may_be_zero=True)


class Unique(msgspec.Struct, frozen=True):
    """A key that one owner has at a time, for so long."""

    key: str
    owner: str
    seconds: float

    def __post_init__(self) -> None:
        _check_key(self.key)
        _check_key(self.owner)
        _check_number(self.key, "seconds", self.seconds)


class Tick(msgspec.Struct, frozen=True):
    """One time of a schedule: `at` is a Unix time, `owner` who would act on it."""

    name: str
    at: float
    owner: str

    def __post_init__(self) -> None:
        _check_key(self.name)
        _check_key(self.owner)
        if not math.isfinite(self.at):
            raise ValueError(f"tick {self.name!r}: at is a Unix time, not {self.at!r}")


class Gauge(msgspec.Struct, frozen=True):
    """A key as people see it."""

    key: str
    amount: float | None
    """What may pass in `per` seconds, as far as anybody has charged that; None where nobody has."""
    per: float | None
    burst: float | None
    used: float
    """How much of the burst is used up; it comes back evenly. Above the burst: owed."""
    limit: int | None
    """How many may hold it at a time, and how many do."""
    held: int
    paused: float
    """For how many seconds nobody is granted it."""
    is_adapted: bool
    """Whether `amount`, `per` and `limit` are another's than those who charge it say."""


class Ledger(Protocol):
    """The counters that all share: what limits, unique keys and ticks of a schedule need. Each verb is one step over
    its batch, in whose order it is worked through.

    A holder (a worker) has a lease, as in `Broker.beat`. When that ends, what it holds is given back: its slots, and
    what it reserved by estimate and never corrected; the rest is spent. What is over vanishes by itself.
    """

    async def reserve(self, holder: str, lease: float, reservations: Sequence[Reservation]) -> Sequence[Grant]:
        """Charge what each costs, all its keys or none, and renew the holder's lease. The key that one has to wait for
        lets nobody behind it in the batch through. What is granted already is not charged again; of another holder,
        whose run was given to this one, it is taken over. EngineUnreachable leaves open what was done: ask again."""

    async def renew(self, holder: str, lease: float) -> bool:
        """Go on holding everything for so long; 0: nothing any more. False where the lease had ended or never began."""

    async def correct(self, holder: str, corrections: Sequence[Correction]) -> Sequence[bool]:
        """Replace what was reserved by what it cost. False, and nothing changed, where this holder does not hold it."""

    async def release(self, holder: str, releases: Sequence[Release]) -> Sequence[bool]:
        """End reservations. False, and nothing changed, where this holder does not hold it (any more)."""

    async def adjust(self, adjustments: Sequence[Pause | Adapt]) -> None:
        """Pause keys for everybody, or set other limits for them than their users say."""

    async def own(self, uniques: Sequence[Unique]) -> Sequence[str]:
        """Have keys that nobody has, or have them for longer; who has each now."""

    async def disown(self, uniques: Sequence[Unique]) -> Sequence[bool]:
        """Free keys before their time. False where another or nobody has it."""

    async def tick(self, ticks: Sequence[Tick]) -> Sequence[bool]:
        """Whether this owner is to act on each: the first to ask, for a time later than all before. Asked again it is
        told the same, until a later one comes."""

    async def look(self, prefix: str = "", limit: int = 1000) -> Sequence[Gauge]:
        """For people: the keys in use that begin so, in their order."""


def _check_key(key: str) -> None:
    """ValueError for what some engine could not store."""
    try:
        is_stored = 0 < len(key.encode()) <= LONGEST_KEY and "\0" not in key
    except UnicodeEncodeError:
        is_stored = False
    if not is_stored:
        raise ValueError(
            f"{key[:60]!r} cannot be a key of the ledger: it takes 1 to {LONGEST_KEY} bytes of text without NUL; "
            "for more, make a hash of it"
        )


def _check_number(key: str, name: str, value: float, may_be_zero: bool = False) -> None:
    if not (math.isfinite(value) and (value > 0 or (may_be_zero and value == 0))):
        least = "0 or more" if may_be_zero else "above 0"
        raise ValueError(f"{key}: {name} is a number {least}, not {value!r}")
