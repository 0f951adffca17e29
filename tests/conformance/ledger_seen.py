"""A history of reservations as a test saw it, counted without any of the ledger's arithmetic."""

from collections import Counter

import msgspec

from polypool.core.ledger import Charge, Correction, Rate, Release, Reservation, Slot
from tests.conformance.scene import Clock


class Event(msgspec.Struct):
    """So much was charged, or given back (below 0), at a time."""

    at: float
    key: str
    cost: float
    is_grant: bool = False


class History:
    """Who holds what, and what was charged when."""

    def __init__(self, clock: Clock, term: float) -> None:
        self._clock = clock
        self._term = term
        self._until: dict[str, float] = {}
        self._holds: dict[str, tuple[str, list[Charge]]] = {}
        self._events: list[Event] = []
        self._limits: dict[str, Rate] = {}

    def add(self, verb: str, what: object, answer: object) -> None:
        """A step, and what it was answered with."""
        self._lapse()
        match verb, what, answer:
            case "reserve", (str(name), list(batch)), list(grants):
                self._until[name] = self._clock() + self._term
                for reservation, grant in zip(batch, grants, strict=True):
                    self._reserve(name, reservation, bool(grant))
            case "release", (str(name), list(batch)), list(accepted):
                for release, is_accepted in zip(batch, accepted, strict=True):
                    self._release(name, release, is_accepted)
            case "correct", (str(name), list(batch)), list(accepted):
                for correction, is_accepted in zip(batch, accepted, strict=True):
                    self._correct(name, correction, is_accepted)
            case "renew", str(name), bool(was_known):
                assert was_known == (name in self._until)
                self._until[name] = self._clock() + self._term

    def held(self) -> dict[str, int]:
        """Slots by key. A holder that died since the last step holds its own until somebody asks."""
        charges = [charge for _, held in self._holds.values() for charge in held if isinstance(charge, Slot)]
        counted = Counter(charge.key for charge in charges)
        assert all(counted[charge.key] <= charge.limit for charge in charges)
        return dict(counted)

    def check_windows(self) -> None:
        """In no window that ends with a grant more was charged than runs out within it, and the burst."""
        for key, limit in self._limits.items():
            events = [event for event in self._events if event.key == key]
            for last, end in enumerate(events):
                if not end.is_grant:
                    continue
                charged = 0.0
                for event in reversed(events[: last + 1]):
                    charged += event.cost
                    room = limit.burst + (end.at - event.at + 2e-6) * limit.amount / limit.per
                    assert charged <= room + 1e-6, f"{charged} of {key} in {end.at - event.at} s"

    def _reserve(self, holder: str, reservation: Reservation, is_granted: bool) -> None:
        if reservation.id in self._holds:
            assert is_granted, "what is held already was refused"
            self._holds[reservation.id] = (holder, self._holds[reservation.id][1])
        elif is_granted:
            self._holds[reservation.id] = (holder, list(reservation.charges))
            for charge in reservation.charges:
                if isinstance(charge, Rate):
                    self._limits[charge.key] = charge
                    self._charge(charge.key, charge.cost, True)

    def _release(self, holder: str, release: Release, is_accepted: bool) -> None:
        assert is_accepted == self._is_held(holder, release.id)
        if is_accepted:
            _, charges = self._holds.pop(release.id)
            for charge in charges:
                if isinstance(charge, Rate) and not release.was_used:
                    self._charge(charge.key, -charge.cost)

    def _correct(self, holder: str, correction: Correction, is_accepted: bool) -> None:
        if not self._is_held(holder, correction.id):
            assert not is_accepted
            return
        _, charges = self._holds[correction.id]
        places = [n for n, charge in enumerate(charges) if isinstance(charge, Rate) and charge.key == correction.key]
        assert is_accepted == bool(places)
        if places:
            charge = charges[places[0]]
            assert isinstance(charge, Rate)
            self._charge(charge.key, correction.cost - charge.cost)
            charges[places[0]] = msgspec.structs.replace(charge, cost=correction.cost, is_estimate=False)

    def _lapse(self) -> None:
        lapsed = [holder for holder, until in self._until.items() if until <= self._clock()]
        for holder in lapsed:
            del self._until[holder]
        for id, (holder, charges) in list(self._holds.items()):
            if holder in lapsed:
                del self._holds[id]
                for charge in charges:
                    if isinstance(charge, Rate) and charge.is_estimate:
                        self._charge(charge.key, -charge.cost)

    def _charge(self, key: str, cost: float, is_grant: bool = False) -> None:
        self._events.append(Event(self._clock(), key, cost, is_grant))

    def _is_held(self, holder: str, id: str) -> bool:
        return id in self._holds and self._holds[id][0] == holder
