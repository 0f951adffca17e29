"""Body: a task's parameters as a JSON object, typed by their annotations."""

import inspect
from collections.abc import Mapping
from typing import Any

import msgspec

from polypool.arguments.annotation import hints_of, plain_type, signature_of
from polypool.rest.problem import Problem, Wrong
from polypool.task import Task

_split = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_PLACED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Field(msgspec.Struct, frozen=True):
    """One parameter. `*args` is a list under its own name; what `**kwargs` takes has names of its own."""

    name: str
    type: Any
    is_required: bool
    default: Any = inspect.Parameter.empty


class Body:
    """What is POSTed to start one task."""

    def __init__(self, task: Task[..., Any, Any]) -> None:
        parameters = [*signature_of(task.function).parameters.values()][1 if task.bind else 0 :]
        hints = hints_of(task.function)
        self._parameters = parameters
        self._rest: str | None = None
        self.fields: dict[str, Field] = {}
        self.others: Any = None
        """The type of what `**kwargs` takes; None where there are none."""
        for one in parameters:
            kind = plain_type(hints.get(one.name, Any), one.default)
            if one.kind is one.VAR_KEYWORD:
                self.others = kind
            elif one.kind is one.VAR_POSITIONAL:
                self._rest = one.name
                self.fields[one.name] = Field(one.name, list[kind], False)  # type: ignore[valid-type]  # made here
            else:
                self.fields[one.name] = Field(one.name, kind, one.default is one.empty, one.default)
        self._decoders = {name: msgspec.json.Decoder(field.type) for name, field in self.fields.items()}
        self._other = msgspec.json.Decoder(Any if self.others is None else self.others)

    def read(self, body: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a call. Problem 400 for what is no JSON object, 422 naming every parameter that is wrong."""
        try:
            given = _split(body)
        except _UNREADABLE as error:
            detail = f"The body must be a JSON object of the task's parameters: {_lowered(str(error))}"
            raise Problem(400, detail) from None
        values, wrong = self._typed(given)
        missing = [field.name for field in self.fields.values() if field.is_required and field.name not in given]
        wrong += [Wrong(name, "is missing", name) for name in missing]
        if wrong:
            detail = "; ".join(f"{one.at}: {one.message}" for one in wrong)
            raise Problem(422, detail, wrong)
        return self._call(values)

    def _typed(self, given: Mapping[str, msgspec.Raw]) -> tuple[dict[str, Any], list[Wrong]]:
        values: dict[str, Any] = {}
        wrong: list[Wrong] = []
        for name, raw in given.items():
            if name not in self.fields and self.others is None:
                known = ", ".join(self.fields) or "none"
                wrong.append(Wrong(name, f"there is no such parameter; there are: {known}", name))
                continue
            try:
                values[name] = self._decoders.get(name, self._other).decode(raw)
            except _UNREADABLE as error:
                what, _, path = str(error).partition(" - at `$")
                wrong.append(Wrong(name, _lowered(what), f"{name}{path.rstrip('`')}"))
        return values, wrong

    def _call(self, values: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """By name wherever possible; by place what has no name, and what stands before it."""
        rest = values.pop(self._rest, []) if self._rest is not None else []
        if rest:
            placed = [one for one in self._parameters if one.kind in _PLACED]
        else:
            placed = [one for one in self._parameters if one.kind is one.POSITIONAL_ONLY]
            while placed and placed[-1].name not in values:
                placed.pop()
        args = [values.pop(one.name, one.default) for one in placed]
        return (*args, *rest), values


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
