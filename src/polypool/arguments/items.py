"""Items: a chunk's list as the arguments of its runs, typed all at once."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from polypool.arguments.annotation import Decode
from polypool.core.error import ArgumentError

_split = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)

Parameter = tuple[str, Decode]


class Items:
    """Types the items of one function's chunks by its parameters' annotations.

    One decoder for the whole list takes a fraction of the time that one call of a decoder an item would.
    `parameters` gives the first so many of the function's positional ones; `one` types a single item, and its error
    says what does not fit.
    """

    def __init__(self, parameters: Callable[[int], Sequence[Parameter]], one: Callable[[Any, bool], Any]) -> None:
        self._parameters = parameters
        self._one = one
        self._decoders: dict[int | None, Decode | None] = {}

    def typed(self, items: Any, spreads: bool) -> Sequence[Any]:
        """Each item as it is, or (`spreads`) as a sequence of arguments. ArgumentError, its note saying which."""
        try:
            if not spreads:
                decode = self._decoder(None)
            else:
                raws = _split(items)
                decode = self._decoder(len(_split(raws[0]))) if raws else None
            if decode is not None:
                typed: list[Any] = decode(items)
                return typed
        except _UNREADABLE:
            pass  # one by one, to say which it is; or tuples of several lengths
        return self._one_by_one(items, spreads)

    def _one_by_one(self, items: Any, spreads: bool) -> list[Any]:
        try:
            raws = _split(items)
        except _UNREADABLE as error:
            raise ArgumentError(f"the items of a chunk are a list, and what came is none: {error}") from None
        typed: list[Any] = []
        try:
            for raw in raws:
                typed.append(self._one(raw, spreads))
        except ArgumentError as error:
            error.add_note(f"polypool: this was item {len(typed):,}, counted from 0")
            raise
        return typed

    def _decoder(self, width: int | None) -> Decode | None:
        """For items, or for tuples of this width; None where no decoder does it all."""
        if width not in self._decoders:
            self._decoders[width] = _all_at_once(self._parameters(1 if width is None else width), width is not None)
        return self._decoders[width]


def _all_at_once(parameters: Sequence[Parameter], spreads: bool) -> Decode | None:
    types = [getattr(getattr(decode, "__self__", None), "type", None) for _, decode in parameters]
    if None in types:
        return None
    try:
        return msgspec.msgpack.Decoder(list[tuple[*types]] if spreads else list[types[0]]).decode  # type: ignore[valid-type]  # made here
    except TypeError:
        return None
