"""Inputs: what a step takes from the steps before it, read when it runs and put into its arguments."""

from collections.abc import Callable, Generator
from typing import Any

import msgspec

from polypool.conversation import ahold, hold
from polypool.core.ask import Ask, Read
from polypool.core.codec import encode
from polypool.core.error import EngineError
from polypool.core.event import Record
from polypool.core.gather import WINDOW, Unread, read_value, reference_in
from polypool.core.join import Input, Listed, Many, One, Ref
from polypool.core.ledger import Charge
from polypool.core.lifecycle import State
from polypool.core.outcome import FailedStep
from polypool.core.port import Arguments, Line
from polypool.pools.child.call import Call
from polypool.values import Values, count_of, missing

Decoded = tuple[list[Any], dict[str, Any]]
Taken = tuple[list[Any], dict[str, Any]]
"""What stands before a message's own arguments, and by name: each as MessagePack, or Values."""
Records = dict[str, Record | None]


NOTHING: Taken = ([], {})


class Unpriced(Exception):
    """What its limits charge the run is known only now: it goes back with that, to pass them first."""

    def __init__(self, charges: tuple[Charge, ...]) -> None:
        super().__init__("to be charged first")
        self.charges = charges


class Unreached(Exception):
    """The engine is away, so what the step takes cannot be read now: nobody's fault, it is to be run later."""


def inputs_of(call: Call) -> tuple[Input, ...]:
    flow = call.message.flow
    return flow.inputs if flow is not None else ()


def take(inputs: tuple[Input, ...], arguments: Arguments, line: Line) -> Taken:
    """Read what these refer to, blocking. InputMissing, Unreached."""
    try:
        return hold(line, _taking(inputs, arguments, line))
    except EngineError as error:
        raise Unreached(str(error)) from error


async def atake(inputs: tuple[Input, ...], arguments: Arguments, line: Line) -> Taken:
    """The same, awaited."""
    try:
        return await ahold(line, _taking(inputs, arguments, line))
    except EngineError as error:
        raise Unreached(str(error)) from error


def decoded(call: Call, taken: Taken) -> Decoded:
    """What the function is called with; of a chunk the list of its items. ArgumentError, Unpriced."""
    message, (before, named) = call.message, taken
    runnable = call.runnable
    if message.each is not None:
        items = runnable.arguments.decode_items(message.args, before, message.each)
        if message.charges is None:
            raise Unpriced(runnable.charges_of_each(items, message.each == "tuple"))
        return [items], {}
    args, kwargs = runnable.arguments.decode_with(message.args, before, named)
    if message.charges is None:
        raise Unpriced(runnable.charges(args, kwargs))
    return args, kwargs


def _taking(inputs: tuple[Input, ...], arguments: Arguments, line: Line) -> Generator[Ask, Any, Taken]:
    before: list[Any] = []
    named: dict[str, Any] = {}
    try:
        records = yield from _records(inputs)
        for input in inputs:
            if input.is_failure:
                value: Any = encode(_failure(input.ref, records))
            else:
                place: int | str = len(before) if input.name is None else input.name
                value = yield from _resolved(input.ref, records)
                if not isinstance(value, bytes):
                    lazy = _lazy(value, arguments.item_decoder(place), line)
                    value = (yield from read_value(value)) if lazy is None else lazy
            if input.name is None:
                before.append(value)
            else:
                named[input.name] = value
    except Unread as unread:
        raise missing(unread) from None
    return before, named


def _records(inputs: tuple[Input, ...]) -> Generator[Ask, Any, Records]:
    """Those of single steps, with one ask for all."""
    ids = list({input.ref.id: None for input in inputs if isinstance(input.ref, One)})
    records: Records = {}
    for start in range(0, len(ids), WINDOW):
        window = ids[start : start + WINDOW]
        records.update(zip(window, (yield Read(window)), strict=True))
    return records


def _resolved(ref: Ref, records: Records) -> Generator[Ask, Any, bytes | Many | Listed]:
    """The value of a single step, or the list that it stands for, however many steps pass it on."""
    while isinstance(ref, One):
        if ref.id not in records:
            (records[ref.id],) = yield Read([ref.id])
        record = records[ref.id]
        if record is None or record.state is not State.SUCCEEDED:
            raise Unread(ref.id, record)
        if record.value is None:
            return encode(None)
        meant = reference_in(record.value)
        if meant is None:
            return record.value
        ref = meant
    return ref


def _lazy(ref: Many | Listed, decode: Callable[[bytes], Any] | None, line: Line) -> Values[Any] | None:
    """A great many values, to be read as they are used; None where the whole list is wanted."""
    if decode is None or count_of(ref) <= WINDOW:
        return None
    return Values.read_through(line, ref, decode)


def _failure(ref: Ref, records: Records) -> dict[str, Any]:
    """As a `FailedStep`, what an error callback gets."""
    if not isinstance(ref, One):
        raise TypeError(f"an error callback takes the failure of one step, not of {ref}")
    record = records[ref.id]
    if record is None or record.failure is None:
        raise Unread(ref.id, record)
    failure, origin = record.failure, record.failure.origin
    failed = FailedStep(
        task_id=origin.id if origin else record.id,
        task=origin.task if origin else record.task,
        type=failure.type if "." in failure.type else f"builtins.{failure.type}",
        message=failure.message,
        traceback=failure.traceback,
        workflow_id=record.id,
    )
    told: dict[str, Any] = msgspec.to_builtins(failed)
    return told
