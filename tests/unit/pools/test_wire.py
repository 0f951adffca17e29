"""Frames come out as they went in, however the stream was cut."""

from hypothesis import given
from hypothesis import strategies as st

from polypool.core.outcome import Done, Usage
from polypool.pools.wire import Begin, Cancel, Finished, Frames, Leave, Recall, Reply, decode_down, decode_up, frame


@given(bodies=st.lists(st.binary(max_size=300)), cuts=st.lists(st.integers(1, 50), min_size=1))
def test_frames_survive_any_way_of_cutting_the_stream(bodies: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(frame(body) for body in bodies)
    frames, found, at, turn = Frames(), [], 0, 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        found += [bytes(body) for body in frames.feed(stream[at : at + size])]
        at, turn = at + size, turn + 1
    assert found == [frame(body)[4:] for body in bodies]


def test_a_large_frame_in_small_pieces_is_put_together_in_linear_time() -> None:
    """16 MB, the largest message of an engine, as a socket hands it over."""
    stream = frame(bytes(16 * 1024 * 1024))
    frames, found = Frames(), 0
    for at in range(0, len(stream), 4096):
        found += sum(len(body) for body in frames.feed(stream[at : at + 4096]))
    assert found == len(stream) - 4


def test_what_goes_down_comes_out_typed_and_in_order() -> None:
    items = [Begin(1, 2, 3, b"body"), Cancel(1), Recall([4, 5]), Reply(1, b"", ("EngineFull", "no room")), Leave()]
    assert decode_down(frame(items)[4:]) == items


def test_what_comes_up_comes_out_typed_and_in_order() -> None:
    items = [Finished(7, Done(b"\xc0", Usage(1.0, 2.0, None)))]
    assert decode_up(frame(items)[4:]) == items
