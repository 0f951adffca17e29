"""A task's parameters: arguments are checked where they are sent, and typed again where they are used.

The body is MessagePack `[positional, keyword]`. Each value is decoded by its parameter's annotation, so what a
dataclass, a Struct, a datetime or an Enum was when sent it is again in the worker.
"""

import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from polypool.core.codec import decode_any, encode
from polypool.core.error import ArgumentError, MessageTooLarge, NotEncodable
from polypool.core.message import LARGEST_BYTES

Decode = Callable[[Any], Any]

_Body = tuple[list[msgspec.Raw], dict[str, msgspec.Raw]]
_split = msgspec.msgpack.Decoder(_Body).decode
_UNENCODABLE = (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError)
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Parameters:
    """Encodes and decodes the arguments of one function; the port `Arguments`.

    `skip` leaves out so many leading parameters, which whoever calls the function fills in.
    """

    def __init__(self, task: str, function: Callable[..., Any], skip: int = 0) -> None:
        self._task = task
        signature = _signature(function)
        listed = list(signature.parameters.values())[skip:]
        self._signature = signature.replace(parameters=listed)
        hints = _hints(function)
        decoders = {one.name: decoder_of(hints.get(one.name, Any), one.default) for one in listed}
        self._positional = [(one.name, decoders[one.name]) for one in listed if one.kind in _POSITIONAL]
        self._by_name = {one.name: decoders[one.name] for one in listed if one.kind in _BY_NAME}
        self._rest = _variadic(listed, inspect.Parameter.VAR_POSITIONAL, decoders)
        self._others = _variadic(listed, inspect.Parameter.VAR_KEYWORD, decoders)
        required = [one for one in listed if one.kind in _POSITIONAL and one.default is one.empty]
        self._fewest = len(required)
        self._required_names = {one.name for one in listed if one.kind is one.KEYWORD_ONLY and one.default is one.empty}
        self._is_plain = all(decode is decode_any for decode in decoders.values())
        self._returned = decoder_of(hints.get("return", Any))

    def encode(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bytes:
        """The body of a message. ArgumentError or NotEncodable names the parameter, MessageTooLarge the limit."""
        self._check_names(args, kwargs)
        try:
            body = encode((args, kwargs))
        except _UNENCODABLE as error:
            raise self._not_encodable(args, kwargs, error) from None
        if len(body) > LARGEST_BYTES:
            raise MessageTooLarge(
                f"{self._task}: these arguments are {len(body):,} bytes and a message may have {LARGEST_BYTES:,} "
                "(16 MiB), nothing was sent; store the data elsewhere and send where it is"
            )
        if not self._is_plain:
            self._typed(body)  # what the worker will do; here its error still meets the one who can mend it
        return body

    def decode(self, body: bytes) -> tuple[list[Any], dict[str, Any]]:
        """Typed by annotation. ArgumentError when what an older or newer sender sent does not fit."""
        args, kwargs = self._typed(body)
        self._check_names(args, kwargs)
        return args, kwargs

    def decode_result(self, value: bytes) -> Any:
        """What the function returned, typed by its return annotation.

        A value that does not fit the annotation comes as plain data: the run succeeded, and its result is worth more
        than its annotation.
        """
        try:
            return self._returned(value)
        except (msgspec.ValidationError, ValueError):
            return decode_any(value)

    def _typed(self, body: bytes) -> tuple[list[Any], dict[str, Any]]:
        try:
            positional, keyword = _split(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ArgumentError(f"{self._task}: its arguments cannot be read: {error}") from None
        parameters = self._positional
        if len(positional) > len(parameters):
            parameters = self._lengthened(len(positional))
        name = ""
        try:
            args = []
            for raw, (name, decode) in zip(positional, parameters, strict=False):  # noqa: B007 - read when one fails
                args.append(decode(raw))
            kwargs = {}
            for name, raw in keyword.items():
                kwargs[name] = self._by_name.get(name, self._other)(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
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


def decoder_of(annotation: Any, default: Any = inspect.Parameter.empty) -> Decode:
    """A decoder for values of this annotation; one for plain values where msgspec has none for it."""
    if annotation is Any or annotation is inspect.Parameter.empty:
        return decode_any
    if default is None:
        annotation = annotation | None if _can_be_joined(annotation) else annotation
    try:
        if _is_custom(msgspec.inspect.type_info(annotation)):
            return decode_any
        return msgspec.msgpack.Decoder(annotation).decode
    except Exception:
        # Annotations may hold anything, and msgspec raises many kinds of error over them.
        return decode_any


def _can_be_joined(annotation: Any) -> bool:
    return hasattr(annotation, "__or__") and not isinstance(annotation, str)


def _is_custom(info: Any) -> bool:
    """Whether a class that msgspec cannot build is anywhere in this type."""
    waiting, seen = [info], set[int]()
    while waiting:
        one = waiting.pop()
        if isinstance(one, msgspec.inspect.CustomType):
            return True
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, tuple | list):
            waiting.extend(one)
        elif isinstance(one, msgspec.inspect.Type | msgspec.inspect.Field):
            waiting.extend(getattr(one, field) for field in one.__struct_fields__)
    return False


def _variadic(listed: list[inspect.Parameter], kind: Any, decoders: Mapping[str, Decode]) -> tuple[str, Decode] | None:
    for one in listed:
        if one.kind is kind:
            return one.name, decoders[one.name]
    return None


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info >= (3, 14):
        import annotationlib

        return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
    return inspect.signature(function)


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Annotations as types; one that names what cannot be found (imported for type checkers only) counts as Any."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:
        pass  # at least one is out of reach: look at each alone
    hints = {}
    for one in [*_signature(function).parameters.values()]:
        hints[one.name] = _hint(function, one.annotation)
    hints["return"] = _hint(function, _signature(function).return_annotation)
    return hints


def _hint(function: Callable[..., Any], annotation: Any) -> Any:
    if annotation is inspect.Parameter.empty:
        return Any
    alone = type("Alone", (), {"__annotations__": {"it": annotation}})
    try:
        names = dict(getattr(inspect.unwrap(function), "__globals__", {}))
        return typing.get_type_hints(alone, globalns=names, include_extras=True)["it"]
    except Exception:
        return Any


def _explained(name: str, error: str) -> str:
    """msgspec's "Expected `str`, got `int` - at `$.a[0]`" with the parameter's name for `$`."""
    what, _, path = error.partition(" - at `$")
    return f"{name}{path.rstrip('`')}: {what[:1].lower()}{what[1:]}"
