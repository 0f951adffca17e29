"""Steps that wait for other steps: their places, and what signals do to them."""

from collections.abc import Callable, Iterable, MutableMapping

from polypool.brokers.memory.entry import Entry
from polypool.core.join import OPEN, Signal
from polypool.core.lifecycle import State

Enqueue = Callable[[Entry, float | None, float], None]


class Joins:
    """The store's; `enqueue` brings an entry into its lane, or lets it wait there for its time."""

    def __init__(self, entries: MutableMapping[str, Entry], enqueue: Enqueue) -> None:
        self._entries = entries
        self._enqueue = enqueue

    def wait(self, entry: Entry) -> None:
        """In no line until its places are marked."""
        entry.state, entry.worker = State.SCHEDULED, None
        entry.places, entry.marked = (entry.message.flow.waits if entry.message.flow else 0), set()

    def signal(self, signals: Iterable[Signal], now: float) -> None:
        for signal in signals:
            entry = self._entries.get(signal.id)
            if entry is None or not entry.is_waiting:
                continue
            if signal.kind == "drop":
                del self._entries[signal.id]
            elif signal.kind == "break":
                entry.cause = signal.cause
                self._release(entry, None, now)
            else:
                entry.marked.add(signal.place)
                self._look(entry, now)

    def seal(self, id: str, places: int, now: float) -> bool:
        entry = self._entries.get(id)
        if entry is None or not entry.is_waiting:
            return False
        if entry.places == OPEN:
            entry.places = places
            self._look(entry, now)
        return True

    def _look(self, entry: Entry, now: float) -> None:
        if entry.places != OPEN and len(entry.marked) >= (entry.places or 0):
            due = entry.message.due_when_ready
            self._release(entry, due if due >= 0 else now - due, now)

    def _release(self, entry: Entry, due: float | None, now: float) -> None:
        entry.places, entry.marked = None, set()
        entry.due = now
        self._enqueue(entry, due, now)
