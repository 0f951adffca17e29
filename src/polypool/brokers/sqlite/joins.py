"""Steps that wait for other steps: what signals do to them, many at a time."""

from collections.abc import Iterable, Sequence

from polypool.brokers.sqlite.rows import forget
from polypool.brokers.sqlite.transaction import BATCH_ROWS, Packed, Ring, Transaction, to_json
from polypool.core.join import OPEN, Signal

SPAN = 62
"""Places that one row of marks holds, as the bits of an integer that SQLite and JSON take."""
COUNT = -1
"""The span of the row that says how many places are marked."""


def signal(transaction: Transaction, signals: Sequence[Signal], now: float) -> set[str]:
    """Tell those that wait, one signal after the other; which were dropped."""
    dropped: set[str] = set()
    for start in range(0, len(signals), BATCH_ROWS):
        round = _Round(transaction, signals[start : start + BATCH_ROWS])
        round.apply()
        round.write(now)
        dropped.update(round.dropped)
    return dropped


def seal(transaction: Transaction, id: str, places: int, now: float) -> bool:
    """Say for how many places it waits. False where it waits no longer or is unknown."""
    found = transaction.json("waiters", ids=to_json([id]))
    if not found:
        return False
    [[_, seq, waits, marked]] = found
    if waits == OPEN:
        transaction.run("seal", seq=seq, places=places)
        if marked >= places:
            forget_marks(transaction, [seq])
            _release(transaction, [seq], now)
    return True


def forget_marks(transaction: Transaction, seqs: Iterable[int]) -> None:
    """Of what waits no longer, for whatever reason."""
    if gone := list(seqs):
        transaction.run("forget_marks", seqs=to_json(gone))


class _Round:
    """A batch of signals, and those of their receivers that wait."""

    def __init__(self, transaction: Transaction, signals: Sequence[Signal]) -> None:
        self._transaction = transaction
        self._signals = signals
        found = transaction.json("waiters", ids=to_json(list(dict.fromkeys(signal.id for signal in signals))))
        self._waiting = {id: (seq, waits) for id, seq, waits, _ in found}
        self._counts = {seq: count for _, seq, waits, count in found if waits != 1}
        self._bits = self._marked()
        self._changed: set[tuple[int, int]] = set()
        self._released: list[int] = []
        self._broken: list[tuple[int, bytes]] = []
        self.dropped: dict[str, int] = {}

    def apply(self) -> None:
        """Find out what becomes of each receiver."""
        for signal in self._signals:
            waiter = self._waiting.get(signal.id)
            if waiter is None:
                continue
            seq, waits = waiter
            if signal.kind == "mark":
                # With one place there is nothing to keep: any mark is the last.
                if waits != 1 and not self._completes(seq, waits, signal.place):
                    continue
                self._released.append(seq)
            elif signal.kind == "break":
                self._broken.append((seq, signal.cause))
            else:
                self.dropped[signal.id] = seq
            del self._waiting[signal.id]

    def write(self, now: float) -> None:
        transaction = self._transaction
        over = {*self._released, *(seq for seq, _ in self._broken), *self.dropped.values()}
        forget_marks(transaction, over & self._counts.keys())
        rows = [(seq, span, self._bits[seq, span]) for seq, span in self._changed if seq not in over]
        rows += [(seq, COUNT, self._counts[seq]) for seq in {seq for seq, _, _ in rows}]
        if rows:
            transaction.run("mark", rows=to_json(rows))
        if self._released:
            _release(transaction, self._released, now)
        if self._broken:
            _break(transaction, self._broken, now)
        if self.dropped:
            transaction.rings.add(Ring.RESULTS)
            forget(transaction, to_json(list(self.dropped.values())))

    def _marked(self) -> dict[tuple[int, int], int]:
        """The marks beside those that are to be set, as they are."""
        asked = {
            (self._waiting[signal.id][0], signal.place // SPAN)
            for signal in self._signals
            if signal.kind == "mark" and signal.id in self._waiting
        }
        asked = {(seq, span) for seq, span in asked if seq in self._counts}
        if not asked:
            return {}
        return {(seq, span): bits for seq, span, bits in self._transaction.json("marks", rows=to_json(list(asked)))}

    def _completes(self, seq: int, waits: int, place: int) -> bool:
        """Mark a place; whether all are marked now."""
        span, bit = divmod(place, SPAN)
        key, mark = (seq, span), 1 << bit
        bits = self._bits.get(key, 0)
        if bits & mark:
            return False
        self._bits[key] = bits | mark
        self._changed.add(key)
        self._counts[seq] += 1
        return waits != OPEN and self._counts[seq] >= waits


def _release(transaction: Transaction, seqs: list[int], now: float) -> None:
    transaction.run("release", seqs=to_json(seqs), now=now)
    transaction.rings.add(Ring.WORK)


def _break(transaction: Transaction, broken: list[tuple[int, bytes]], now: float) -> None:
    packed = Packed()
    for seq, cause in broken:
        packed.add(seq, blob=cause)
        if packed.is_full:
            transaction.run("break", rows=packed.rows, causes=packed.blob, now=now)
            packed = Packed()
    if packed:
        transaction.run("break", rows=packed.rows, causes=packed.blob, now=now)
    transaction.rings.add(Ring.WORK)
