"""Shapes by the dice, and what holds for the messages that any of them is sent as."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from hypothesis import strategies as st

from polypool.canvas.shape import Bulk, Call, Chain, Chord, Group, Shape
from polypool.core.codec import encode
from polypool.core.join import NO_PLACE, Listed, Many, Next, One, Ref
from polypool.core.message import Message

ARGS = encode(([], {}))


def call(task: str = "app.work", **fields: Any) -> Call:
    return Call(task, ARGS, **fields)


def calls(*names: str) -> tuple[Call, ...]:
    return tuple(call(name) for name in names)


def shapes(depth: int = 3) -> st.SearchStrategy[Shape]:
    """Any workflow but one that is read lazily. What is empty stands only before something."""
    if depth == 0:
        return _calls(0)
    inner = shapes(depth - 1)
    groups = st.lists(inner, min_size=1, max_size=3).map(tuple)
    whole = st.one_of(_calls(depth), _graphs(depth))
    return st.one_of(
        whole,
        st.builds(Chain, st.lists(inner, min_size=1, max_size=4).map(tuple), **_called_back(depth)),
        st.builds(Group, groups, **_called_back(depth)),
        st.builds(Chord, st.builds(Group, groups, **_called_back(depth)), inner, **_called_back(depth)),
        st.builds(Chord, st.just(Group(())), inner),
        st.builds(lambda first, last: Chain((first, Group(()), last)), inner, inner),
    )


def _calls(depth: int) -> st.SearchStrategy[Call]:
    return st.builds(call, is_immutable=st.booleans(), **_called_back(depth))


def _graphs(depth: int) -> st.SearchStrategy[Group]:
    """Members that wait for some of those before them, by name, and stand in any order."""

    @st.composite
    def graph(draw: st.DrawFn) -> Group:
        count = draw(st.integers(2, 5))
        members = []
        for number in range(count):
            after = [f"n{other}" for other in range(number) if draw(st.booleans())]
            members.append(call(name=f"n{number}", after=tuple(after), is_immutable=draw(st.booleans())))
        return Group(tuple(draw(st.permutations(members))))

    return graph()


def _called_back(depth: int) -> dict[str, st.SearchStrategy[Any]]:
    if depth < 2:
        return {}
    some = st.lists(shapes(depth - 2), max_size=2).map(tuple)
    none: st.SearchStrategy[Any] = st.just(())
    return {"on_success": st.one_of(none, none, some), "on_failure": st.one_of(none, none, some)}


def check_woven(messages: Iterable[Message]) -> None:
    """Every step is sent once; every place of every join is told exactly once; no edge leads to what is not there; and
    there is an order in which all of them can run."""
    messages = list(messages)
    steps = {message.id: message for message in messages}
    assert len(steps) == len(messages), "two steps have one id"
    told: defaultdict[str, Counter[int]] = defaultdict(Counter)
    behind: defaultdict[str, set[str]] = defaultdict(set)
    for message in messages:
        for next in edges(message):
            for id in next.ids():
                assert id in steps, f"{message.id} tells {id}, which is not there"
                if next.place != NO_PLACE:
                    told[id][next.place] += 1
                    behind[id].add(message.id)
    for message in messages:
        waits = message.flow.waits if message.flow is not None else 0
        assert told[message.id] == Counter(range(waits)), f"{message.id} waits for {waits}: {told[message.id]}"
    order = _in_order(steps, behind)
    for message in messages:
        for id in read_by(message):
            if id in steps:
                assert id in _all_behind(message.id, behind), f"{message.id} reads {id} and does not wait for it"
    assert len(order) == len(steps), "some of them wait for each other"


def edges(message: Message) -> tuple[Next, ...]:
    return message.flow.then if message.flow is not None else ()


def read_by(message: Message) -> Iterator[str]:
    """The ids of the steps whose values it takes in."""
    for taken in message.flow.inputs if message.flow is not None else ():
        yield from ids_in(taken.ref)


def ids_in(ref: Ref) -> Iterator[str]:
    match ref:
        case One(id):
            yield id
        case Many():
            yield from ref.ids()
        case Listed(refs):
            for one in refs:
                yield from ids_in(one)


def calls_in(shape: Shape) -> int:
    """How many tasks are to be run, callbacks counted."""
    assert not isinstance(shape, Bulk)
    callbacks = sum(map(calls_in, (*shape.on_success, *shape.on_failure)))
    match shape:
        case Call():
            return 1 + callbacks
        case Chain(steps):
            return sum(map(calls_in, steps)) + callbacks
        case Group(members):
            return sum(map(calls_in, members)) + callbacks
        case Chord(header, body):
            return calls_in(header) + calls_in(body) + callbacks


def _in_order(steps: dict[str, Message], behind: dict[str, set[str]]) -> list[str]:
    order: list[str] = []
    left = {id: set(behind[id]) for id in steps}
    while ready := [id for id, waits in left.items() if not waits]:
        order += ready
        for id in ready:
            del left[id]
        for waits in left.values():
            waits.difference_update(ready)
    return order


def _all_behind(id: str, behind: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [id]
    while waiting:
        for one in behind[waiting.pop()] - found:
            found.add(one)
            waiting.append(one)
    return found
