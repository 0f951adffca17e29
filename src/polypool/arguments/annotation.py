"""What an annotation says: how a value of it is decoded, and whether a great many may come as `Values`."""

import inspect
import sys
import types
import typing
from collections import abc
from collections.abc import Callable
from typing import Any

import msgspec

from polypool.core.codec import decode_any
from polypool.values import Values

Decode = Callable[[Any], Any]

_READ_LAZILY = (abc.Iterable, abc.Collection, abc.Sequence)
"""What a list satisfies as well as Values do; which of the two comes is a matter of how many they are."""
_ALWAYS_VALUES = (Values, abc.AsyncIterable)


def decoder_of(annotation: Any, default: Any = inspect.Parameter.empty) -> Decode:
    """A decoder for values of this annotation; one for plain values where msgspec has none for it."""
    if annotation is Any or annotation is inspect.Parameter.empty:
        return decode_any
    if default is None:
        annotation = annotation | None if _can_be_joined(annotation) else annotation
    kind, element = _many(annotation)
    if kind is None:
        return _decoder(annotation)
    as_list = list[type_of(element)]  # type: ignore[misc, valid-type]  # made here
    decode = _decoder(as_list | None if _takes_none(annotation) else as_list)
    if kind in _ALWAYS_VALUES:
        return lambda raw: _as_values(decode(raw))
    return decode if kind is abc.Sequence else lambda raw: _as_iterable(raw, decode)


def plain_type(annotation: Any, default: Any = inspect.Parameter.empty) -> Any:
    """What values of this annotation are before they are sent, as a type that msgspec knows; Any where it knows none.
    Many values are a list."""
    if annotation is Any or annotation is inspect.Parameter.empty:
        return Any
    if default is None:
        annotation = annotation | None if _can_be_joined(annotation) else annotation
    kind, element = _many(annotation)
    if kind is None:
        return type_of(annotation)
    as_list = list[type_of(element)]  # type: ignore[misc, valid-type]  # made here
    return as_list | None if _takes_none(annotation) else as_list


def returned(annotation: Any) -> Any:
    """What a run of a function returns that is annotated so: of a generator, what it returns at its end."""
    origin = typing.get_origin(annotation) or annotation
    if origin is abc.Generator:
        arguments = typing.get_args(annotation)
        return arguments[2] if len(arguments) == 3 else Any
    return Any if origin in (abc.Iterator, abc.AsyncIterator, abc.AsyncGenerator) else annotation


def type_of(annotation: Any) -> Any:
    """The annotation where msgspec can decode it, else Any."""
    return Any if _decoder(annotation) is decode_any else annotation


def item_decoder(annotation: Any) -> Decode | None:
    """How each of a great many values is decoded, where they may come as Values; None where a list is wanted."""
    if annotation is Any or annotation is inspect.Parameter.empty:
        return decode_any
    kind, element = _many(annotation)
    if kind is not None:
        return decoder_of(element)
    return decode_any if _decoder(annotation) is decode_any else None


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info >= (3, 14):
        import annotationlib

        return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
    return inspect.signature(function)


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Annotations as types; one that names what cannot be found (imported for type checkers only) counts as Any."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except Exception:
        pass  # at least one is out of reach: look at each alone
    hints = {}
    for one in [*signature_of(function).parameters.values()]:
        hints[one.name] = _hint(function, one.annotation)
    hints["return"] = _hint(function, signature_of(function).return_annotation)
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


def _decoder(annotation: Any) -> Decode:
    try:
        if _is_custom(msgspec.inspect.type_info(annotation)):
            return decode_any
        return msgspec.msgpack.Decoder(annotation).decode
    except Exception:
        # Annotations may hold anything, and msgspec raises many kinds of error over them.
        return decode_any


def _many(annotation: Any) -> tuple[Any, Any]:
    """The class of an annotation that many values satisfy, however they are kept, and that of each; (None, Any) of
    any other."""
    origin = typing.get_origin(annotation) or annotation
    if origin is types.UnionType or origin is typing.Union:
        found = [_many(one) for one in typing.get_args(annotation) if one is not types.NoneType]
        return found[0] if len(found) == 1 else (None, Any)
    if origin not in _READ_LAZILY and origin not in _ALWAYS_VALUES:
        return None, Any
    return origin, *(typing.get_args(annotation) or (Any,))


def _as_values(decoded: list[Any] | None) -> Values[Any] | None:
    return None if decoded is None else Values(decoded)


def _as_iterable(raw: Any, decode: Decode) -> Any:
    """A list, typed; whatever else can be iterated (a string, a dict) as it is."""
    try:
        return decode(raw)
    except msgspec.ValidationError:
        plain = decode_any(raw)
        if isinstance(plain, list) or plain is None:
            raise
        return plain


def _takes_none(annotation: Any) -> bool:
    return types.NoneType in typing.get_args(annotation)


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
