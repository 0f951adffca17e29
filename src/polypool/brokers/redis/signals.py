"""Signals as the arguments of lua/joins.lua: ids and causes once, then nine bytes a signal."""

import struct
from collections.abc import Sequence

from polypool.brokers.redis.wire import Word
from polypool.core.join import Signal

_SIGNAL = struct.Struct(">cII")
_KINDS = {"mark": b"m", "break": b"b", "drop": b"d"}


class Names:
    """What the signals of one call refer to."""

    def __init__(self) -> None:
        self._places: dict[str | bytes, int] = {}

    def word(self, signals: Sequence[Signal]) -> bytes:
        """What one ending means to those that wait for it."""
        if len(signals) == 1 and signals[0].kind == "mark":  # as nearly all are
            [one] = signals
            return _SIGNAL.pack(b"m", self._place(one.id), one.place)
        return b"".join(
            _SIGNAL.pack(
                _KINDS[one.kind],
                self._place(one.id),
                self._place(one.cause) if one.kind == "break" else one.place if one.kind == "mark" else 0,
            )
            for one in signals
        )

    def _place(self, name: str | bytes) -> int:
        return self._places.setdefault(name, len(self._places) + 1)

    def all(self) -> list[Word]:
        """As `read_names` reads them."""
        return [len(self._places), *self._places]
