"""Values by reference are read whole, however they lie."""

from typing import Any

import pytest

from polypool.core.ask import Read
from polypool.core.codec import decode_any, encode
from polypool.core.event import Record
from polypool.core.gather import WINDOW, Unread, by_reference, read_value, reference_in, whole
from polypool.core.join import Listed, Many, One, Ref
from polypool.core.lifecycle import State


def carried(reading: Any, records: dict[str, Record]) -> Any:
    """What a reading comes to, and how many asks it took."""
    asks = 0
    try:
        ask = next(reading)
        while True:
            assert isinstance(ask, Read) and len(ask.ids) <= WINDOW
            asks += 1
            ask = reading.send([records.get(id) for id in ask.ids])
    except StopIteration as end:
        return decode_any(end.value), asks


def held(**values: Any) -> dict[str, Record]:
    """Records by id; a reference stands for itself."""
    encoded = {
        id: by_reference(value) if isinstance(value, One | Many | Listed) else encode(value)
        for id, value in values.items()
    }
    return {id: Record(id, State.SUCCEEDED, "t", value) for id, value in encoded.items()}


@pytest.mark.parametrize(
    ("ref", "value"),
    [
        (One("a"), 1),
        (One("deep"), [1, [1, 2]]),
        (Many("m", 2), [1, [1, 2]]),
        (Listed((One("b"), Many("m", 2), One("a"))), [2, [1, [1, 2]], 1]),
        (Listed(()), []),
    ],
)
def test_a_reference_is_read_as_deep_as_it_goes(ref: Ref, value: Any) -> None:
    pair = Listed((One("a"), One("b")))
    records = held(a=1, b=2, deep=One("m"), m=Many("m", 2), **{"m-0": 1, "m-1": pair})
    assert carried(read_value(ref), records)[0] == value
    assert reference_in(by_reference(ref)) == ref


def test_many_are_read_a_window_at_a_time() -> None:
    records = held(**{f"m-{index}": index for index in range(2 * WINDOW + 1)})
    assert carried(read_value(Many("m", 2 * WINDOW + 1)), records) == (list(range(2 * WINDOW + 1)), 3)


def test_a_line_of_thousands_of_references_is_followed_to_its_end() -> None:
    records = held(end=7, **{f"r{index}": One(f"r{index + 1}") for index in range(5_000)}, r5000=One("end"))
    assert carried(whole(by_reference(One("r0"))), records)[0] == 7


def test_no_value_is_none() -> None:
    assert carried(whole(None), {}) == (None, 0)


@pytest.mark.parametrize("state", [None, State.FAILED, State.RUNNING])
def test_what_is_not_there_or_did_not_succeed_is_told(state: State | None) -> None:
    records = {} if state is None else {"a": Record("a", state, "t")}
    with pytest.raises(Unread) as caught:
        carried(read_value(Listed((One("a"),))), records)
    assert (caught.value.id, caught.value.record) == ("a", records.get("a"))
