"""What a workflow is to come to, by plain function calls: no messages, no order, no time.

A step's value is a digest of its label and of all that it was given: whatever was passed on wrongly shows at the end.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from polypool.canvas.shape import Bulk, Call, Chain, Chord, Group, Shape, decode_plan
from polypool.core.codec import decode, decode_any, encode
from tests.conformance.flow_shapes import Deed

FAILED_STEP = "a failed step"
"""What a digest has for a `FailedStep`: which of several failures came first is anybody's guess."""


class Ending(NamedTuple):
    """A value; or the labels of the steps one of which was the first to fail."""

    value: Any = None
    causes: frozenset[str] = frozenset()


@dataclass
class Played:
    """Which steps ran, and what error callbacks could be told: of the step with this label, one of these."""

    runs: Counter[str] = field(default_factory=Counter)
    told: dict[str, frozenset[str]] = field(default_factory=dict)
    ending: Ending = field(default_factory=Ending)


def play(shape: Shape) -> Played:
    """Carry a whole workflow out."""
    player = _Player()
    player.played.ending = player.shape(shape, (), Ending())
    return player.played


def digest(label: str, given: Sequence[Any], named: Mapping[str, Any]) -> str:
    """The value of a step."""
    told = encode([label, list(given), sorted(named.items())])
    return f"{label}:{hashlib.blake2b(told, digest_size=6).hexdigest()}"


class _Player:
    """`given` are the values that come from before; `before`, how that ended."""

    def __init__(self) -> None:
        self.played = Played()

    def shape(
        self, shape: Shape, given: Sequence[Any], before: Ending, named: Mapping[str, Any] | None = None
    ) -> Ending:
        named = named or {}
        match shape:
            case Call():
                ending = Ending(causes=before.causes) if before.causes else self._call(shape, given, named)
            case Chain(steps):
                ending = self.shape(steps[0], given, before, named)
                for step in steps[1:]:
                    ending = self.shape(step, (ending.value,), ending)
            case Group():
                ending = self._group(shape, given, before, named)
            case Chord(header, body):
                listed = self.shape(header, given, before, named)
                ending = self.shape(body, (listed.value,), listed)
            case Bulk():
                raise AssertionError("nobody composes what is read lazily")
        self._call_back(shape, ending)
        return ending

    def _group(self, group: Group, given: Sequence[Any], before: Ending, named: Mapping[str, Any]) -> Ending:
        by_name: dict[str, Ending] = {}
        endings: dict[int, Ending] = {}
        while len(endings) < len(group.members):
            for number, member in enumerate(group.members):
                assert not isinstance(member, Bulk)
                if number in endings or not by_name.keys() >= set(member.after):
                    continue
                waited = {name: by_name[name] for name in member.after}
                causes = before.causes.union(*(ending.causes for ending in waited.values()))
                values = {**named, **{name: ending.value for name, ending in waited.items()}}
                endings[number] = self.shape(member, given, Ending(causes=causes), values)
                by_name[member.name or ""] = endings[number]
        causes = frozenset[str]().union(*(ending.causes for ending in endings.values()))
        return Ending(causes=causes) if causes else Ending([endings[number].value for number in sorted(endings)])

    def _call(self, call: Call, given: Sequence[Any], named: Mapping[str, Any]) -> Ending:
        own, keywords = decode_any(call.args)
        deed = decode(encode(keywords["deed"]), Deed)
        self.played.runs[deed.label] += 1
        given, named = ((), {}) if call.is_immutable else (given, named)
        self._note_failures(deed.label, given)
        if deed.does == "fail":
            return Ending(causes=frozenset({deed.label}))
        if deed.does == "unfold":
            return self.shape(decode_plan(deed.plan), (), Ending())
        if call.each is not None:
            return Ending([digest(deed.label, [item], {}) for item in own[0]])
        return Ending(digest(deed.label, [*map(_plain, given), *own], named))

    def _note_failures(self, label: str, given: Sequence[Any]) -> None:
        for value in given:
            if isinstance(value, Ending):
                self.played.told[label] = value.causes

    def _call_back(self, shape: Shape, ending: Ending) -> None:
        assert not isinstance(shape, Bulk)
        callbacks, given = (shape.on_failure, ending) if ending.causes else (shape.on_success, ending.value)
        for callback in callbacks:
            self.shape(callback, (given,), Ending())


def _plain(value: Any) -> Any:
    return FAILED_STEP if isinstance(value, Ending) else value
