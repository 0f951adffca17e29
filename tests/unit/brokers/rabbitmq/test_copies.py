"""Copies: every delivery tag is acknowledged or given back once, and never on another channel."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from pamqp import frame

from polypool.brokers.rabbitmq.copies import Copies, Copy
from polypool.core.message import Lane

LANES = [Lane("a", "threads"), Lane("b", "threads")]


class CopiesMachine(RuleBasedStateMachine):
    """Against a server that closes the channel at the first tag it does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.copies = Copies(1)
        self.tag = 0
        self.at_server: dict[int, Lane] = {}
        self.claimed: list[tuple[str, Copy]] = []
        self.number = 0

    def hear(self, words: bytes) -> None:
        while words:
            consumed, _, method = frame.unmarshal(words)
            words = words[consumed:]
            if method.name == "Basic.Ack" and method.multiple:
                tags = [tag for tag in self.at_server if tag <= method.delivery_tag]
                assert tags, "nothing to acknowledge"
            else:
                tags = [method.delivery_tag]
            for tag in tags:
                assert tag in self.at_server, "an unknown tag ends the channel"
                del self.at_server[tag]

    @rule(lane=st.sampled_from(LANES))
    def arrive(self, lane: Lane) -> None:
        self.tag += 1
        self.at_server[self.tag] = lane
        self.copies.arrive(lane, self.tag, b"", 0.0)

    @rule(limit=st.integers(0, 4), is_held=st.booleans())
    def claim(self, limit: int, is_held: bool) -> None:
        popped = self.copies.pop(LANES, limit)
        assert len(popped) <= limit
        if not is_held:
            self.hear(self.copies.done(popped))
            return
        for copy in popped:
            self.number += 1
            self.copies.hold(str(self.number), copy)
            self.claimed.append((str(self.number), copy))

    @rule(limit=st.integers(1, 3))
    def fail_to_claim(self, limit: int) -> None:
        waiting = [self.copies.waiting(lane) for lane in LANES]
        self.copies.put_back(self.copies.pop(LANES, limit))
        assert [self.copies.waiting(lane) for lane in LANES] == waiting

    @rule(picks=st.lists(st.integers(0, 20), min_size=1, max_size=4))
    def settle(self, picks: list[int]) -> None:
        ids = [self.claimed[pick % len(self.claimed)][0] for pick in picks] if self.claimed else []
        self.hear(self.copies.done(self.copies.release(ids)))
        self.claimed = [(id, copy) for id, copy in self.claimed if id not in ids]

    @rule(lane=st.sampled_from(LANES))
    def give_back(self, lane: Lane) -> None:
        self.hear(self.copies.give_back(lane))
        assert self.copies.waiting(lane) == 0

    @rule()
    def lose_the_channel(self) -> None:
        held_late = [copy for _, copy in self.claimed]
        orphans = self.copies.begin_anew()
        assert orphans == {id for id, _ in self.claimed}
        assert self.copies.done(held_late) == b"", "their tags mean nothing any more"
        self.at_server, self.claimed, self.tag = {}, [], 0

    @invariant()
    def both_sides_count_the_same(self) -> None:
        for lane in LANES:
            assert self.copies.unacked(lane) == list(self.at_server.values()).count(lane)


TestCopies = CopiesMachine.TestCase
TestCopies.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


@given(st.permutations(range(1, 9)))
def test_in_whatever_order_all_of_a_batch_end_the_last_word_covers_the_front(order: list[int]) -> None:
    copies = Copies(1)
    for tag in range(1, 9):
        copies.arrive(LANES[0], tag, b"", 0.0)
    by_tag = {copy.tag: copy for copy in copies.pop(LANES, 8)}
    words = copies.done([by_tag[tag] for tag in order])
    _, _, method = frame.unmarshal(words)
    assert (method.delivery_tag, method.multiple, len(words)) == (8, True, 21), "one frame for all eight"
