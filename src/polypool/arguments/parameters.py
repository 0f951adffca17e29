"""A task's parameters: arguments are checked where they are sent, and typed again where they are used.

The body is MessagePack `[positional, keyword]`. Each value is decoded by its parameter's annotation, so what a
dataclass, a Struct, a datetime or an Enum was when sent it is again in the worker.
"""

import functools
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from polypool.arguments.annotation import Decode, decoder_of, hints_of, item_decoder, returned, signature_of
from polypool.arguments.items import Items
from polypool.core.codec import decode_any, encode
from polypool.core.error import ArgumentError, MessageTooLarge, NotEncodable
from polypool.core.message import LARGEST_BYTES
from polypool.values import Values

_Body = tuple[list[msgspec.Raw], dict[str, msgspec.Raw]]
_split = msgspec.msgpack.Decoder(_Body).decode
_split_list = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_UNENCODABLE = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
_NONE_YET = encode([])
"""Stands where Values come: everything that takes those takes a list."""
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Parameters:
    """Encodes and decodes the arguments of one function; the port `Arguments`.

    `skip` leaves out so many leading parameters, which whoever calls the function fills in.
    """

    def __init__(self, task: str, function: Callable[..., Any], skip: int = 0) -> None:
        self._task = task
        signature = signature_of(function)
        listed = list(signature.parameters.values())[skip:]
        self._signature = signature.replace(parameters=listed)
        hints = hints_of(function)
        self._hints = hints
        decoders = {one.name: decoder_of(hints.get(one.name, Any), one.default) for one in listed}
        self._positional = [(one.name, decoders[one.name]) for one in listed if one.kind in _POSITIONAL]
        self._by_name = {one.name: decoders[one.name] for one in listed if one.kind in _BY_NAME}
        self._rest = _variadic(listed, inspect.Parameter.VAR_POSITIONAL, decoders)
        self._others = _variadic(listed, inspect.Parameter.VAR_KEYWORD, decoders)
        required = [one for one in listed if one.kind in _POSITIONAL and one.default is one.empty]
        self._fewest = len(required)
        self._required_names = {one.name for one in listed if one.kind is one.KEYWORD_ONLY and one.default is one.empty}
        self._is_plain = all(decode is decode_any for decode in decoders.values())
        self._returned = decoder_of(returned(hints.get("return", Any)))

    def encode(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], given: int = 0, names: Sequence[str] = ()
    ) -> bytes:
        """The body of a message. ArgumentError or NotEncodable names the parameter, MessageTooLarge the limit.

        A step of a workflow gets `given` more arguments, in front of these, and those of these `names`, from the steps
        before it.
        """
        if given or names:
            self._check_names_with(args, kwargs, given, names)
        else:
            self._check_names(args, kwargs)
        try:
            body = encode((args, kwargs))
        except _UNENCODABLE as error:
            raise self._not_encodable((*[None] * given, *args), kwargs, error) from None
        if len(body) > LARGEST_BYTES:
            raise MessageTooLarge(
                f"{self._task}: these arguments are {len(body):,} bytes and a message may have {LARGEST_BYTES:,} "
                "(16 MiB), nothing was sent; store the data elsewhere and send where it is"
            )
        if not self._is_plain:
            positional, keyword = _split(body)
            # What the worker will do; here its error still meets the one who can mend it.
            self._typed(positional, keyword, given)
        return body

    def encode_each(self, items: list[Any], spreads: bool = False) -> bytes:
        """The body of a chunk: its one argument is the list of these items, each of which is checked as `encode` would
        alone, as the only argument or (`spreads`) as all of them. The same errors, which do not say which item."""
        if spreads:
            for shape in {len(item): item for item in items}.values():
                self._check_names(shape, {})
        else:
            self._check_names((None,), {})
        try:
            body = encode(((items,), {}))
        except _UNENCODABLE as error:
            raise NotEncodable(f"{self._task}: these items cannot be sent: {error}") from None
        if len(body) > LARGEST_BYTES:
            raise MessageTooLarge(
                f"{self._task}: a chunk of these {len(items):,} items is {len(body):,} bytes and a message may have "
                f"{LARGEST_BYTES:,} (16 MiB); send smaller chunks, or store the data elsewhere and send where it is"
            )
        if not self._is_plain:
            self.decode_items(body, (), "tuple" if spreads else "item")
        return body

    def named(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """These arguments by their parameters' names, defaults filled in."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        rest = bound.arguments.pop(self._others[0], {}) if self._others else {}
        return {**bound.arguments, **rest}

    def decode(self, body: bytes) -> tuple[list[Any], dict[str, Any]]:
        """Typed by annotation. ArgumentError when what an older or newer sender sent does not fit."""
        try:
            positional, keyword = _split(body)
        except _UNREADABLE as error:
            raise self._unreadable(error) from None
        args, kwargs = self._typed(positional, keyword)
        self._check_names(args, kwargs)
        return args, kwargs

    def decode_with(
        self, body: bytes, before: Sequence[Any], named: Mapping[str, Any]
    ) -> tuple[list[Any], dict[str, Any]]:
        """The same of a step that takes other steps' results: in front of its own arguments and by name, each as
        MessagePack or as the Values that it is."""
        positional, keyword = self._parts(body)
        first = [_NONE_YET if isinstance(value, Values) else value for value in before]
        others = {name: _NONE_YET if isinstance(value, Values) else value for name, value in named.items()}
        args, kwargs = self._typed([*first, *positional], {**keyword, **others})
        args[: len(first)] = [
            given if isinstance(given, Values) else arg for given, arg in zip(before, args, strict=False)
        ]
        kwargs.update({name: given for name, given in named.items() if isinstance(given, Values)})
        self._check_names(args, kwargs)
        return args, kwargs

    def decode_items(self, body: bytes, before: Sequence[bytes], each: Literal["item", "tuple"]) -> Sequence[Any]:
        """The items of a chunk: the only argument of a run each, or (`tuple`) a sequence of all of them. The list is
        the body's one argument, or comes `before`. ArgumentError, its note saying which item."""
        positional, keyword = self._parts(body)
        arguments = [*before, *positional]
        if len(arguments) != 1 or keyword:
            raise ArgumentError(f"{self._task}: a chunk has one argument, the list of its items; it got {arguments}")
        return self._items.typed(arguments[0], each == "tuple")

    def item_decoder(self, place: int | str) -> Decode | None:
        """How each of a great many values for this parameter is decoded, where they may come as Values; None where
        the whole list is wanted. By its number among the positional ones, or its name."""
        if isinstance(place, str):
            name = place
        else:
            name = self._lengthened(place + 1)[place][0]
        return item_decoder(self._hints.get(name, Any))

    @functools.cached_property
    def _items(self) -> Items:
        return Items(lambda count: self._lengthened(count)[:count], self._typed_item)

    def _typed_item(self, raw: Any, spreads: bool) -> Any:
        try:
            positional = _split_list(raw) if spreads else [raw]
        except _UNREADABLE as error:
            raise ArgumentError(f"{self._task}: each item is a tuple of arguments: {str(error).lower()}") from None
        args, _ = self._typed(positional, {})
        self._check_names(args, {})
        return args if spreads else args[0]

    def decode_result(self, value: bytes) -> Any:
        """What the function returned, typed by its return annotation.

        A value that does not fit the annotation comes as plain data: the run succeeded, and its result is worth more
        than its annotation.
        """
        try:
            return self._returned(value)
        except (msgspec.ValidationError, ValueError):
            return decode_any(value)

    def _parts(self, body: bytes) -> _Body:
        try:
            parts: _Body = _split(body)
        except _UNREADABLE as error:
            raise self._unreadable(error) from None
        return parts

    def _unreadable(self, error: Exception) -> ArgumentError:
        return ArgumentError(f"{self._task}: its arguments cannot be read: {error}")

    def _typed(
        self, positional: Sequence[Any], keyword: Mapping[str, Any], given: int = 0
    ) -> tuple[list[Any], dict[str, Any]]:
        """What `given` arguments stand in front of."""
        parameters = self._positional
        if given or len(positional) > len(parameters):
            parameters = self._lengthened(given + len(positional))[given:]
        name = ""
        try:
            args = []
            for raw, (name, decode) in zip(positional, parameters, strict=False):  # noqa: B007 - read when one fails
                args.append(decode(raw))
            kwargs = {}
            for name, raw in keyword.items():
                kwargs[name] = self._by_name.get(name, self._other)(raw)
        except _UNREADABLE as error:
            raise ArgumentError(f"{self._task}: {_explained(name, str(error))}") from None
        return args, kwargs

    def _lengthened(self, count: int) -> list[tuple[str, Decode]]:
        surplus = self._rest or ("argument", decode_any)
        return self._positional + [surplus] * (count - len(self._positional))

    @property
    def _other(self) -> Decode:
        return self._others[1] if self._others else decode_any

    def _check_names(self, args: typing.Collection[Any], kwargs: Mapping[str, Any]) -> None:
        count = len(args)
        has_room = count <= len(self._positional) or self._rest is not None
        if not kwargs and not self._required_names and has_room and count >= self._fewest:
            return
        try:
            self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise ArgumentError(f"{self._task}: {error}; it takes {self._signature}") from None

    def _check_names_with(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], given: int, names: Sequence[str]
    ) -> None:
        try:
            self._check_names((*[None] * given, *args), {**kwargs, **dict.fromkeys(names, None)})
        except ArgumentError as error:
            told = (
                [
                    "its first argument is the result of what comes before it; make it immutable, task.si(…), if it is "
                    "to have none"
                ]
                if given
                else []
            )
            told += [f"from the steps that it waits for it gets {', '.join(names)}"] if names else []
            raise ArgumentError(f"{error}; {', and '.join(told)}") from None

    def _not_encodable(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], error: Exception) -> NotEncodable:
        names = [name for name, _ in self._lengthened(len(args))]
        for name, value in [*zip(names, args, strict=False), *kwargs.items()]:
            try:
                encode(value)
            except _UNENCODABLE as reason:
                return NotEncodable(
                    f"{self._task}: {name}: a value of type {type(value).__name__} cannot be sent ({reason}); "
                    "send plain values, dataclasses or msgspec Structs"
                )
        return NotEncodable(f"{self._task}: these arguments cannot be sent: {error}")


def _variadic(listed: list[inspect.Parameter], kind: Any, decoders: Mapping[str, Decode]) -> tuple[str, Decode] | None:
    for one in listed:
        if one.kind is kind:
            return one.name, decoders[one.name]
    return None


def _explained(name: str, error: str) -> str:
    """msgspec's "Expected `str`, got `int` - at `$.a[0]`" with the parameter's name for `$`."""
    what, _, path = error.partition(" - at `$")
    return f"{name}{path.rstrip('`')}: {what[:1].lower()}{what[1:]}"
