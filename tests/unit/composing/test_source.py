"""Source: members in memory, or read as far as needed."""

from itertools import count

import pytest

from polypool import ConfigurationError
from polypool.composing.source import MOST_LISTED, Source


def test_a_list_is_all_there() -> None:
    source = Source([1, 2, 3])
    assert (source.is_listed, source.listed(), source.first(), source.count_hint) == (True, [1, 2, 3], 1, 3)
    assert list(source.stream()) == list(source.stream()) == [1, 2, 3]


def test_an_iterator_is_read_one_further_than_asked() -> None:
    numbers = count()
    source: Source[int] = Source(numbers)
    assert not source.read(3)
    assert next(numbers) == 4
    assert source.count_hint is None


def test_a_short_iterator_becomes_a_list() -> None:
    source = Source(iter([1, 2]))
    assert source.read(2) and source.is_listed
    assert source.listed() == [1, 2]


def test_a_stream_begins_with_what_was_read_and_comes_once() -> None:
    source = Source(iter(range(5)))
    source.read(2)
    assert list(source.stream()) == [0, 1, 2, 3, 4]
    assert source.first() == 0, "it is still known what it was"
    for again in (source.stream, source.listed):
        with pytest.raises(ConfigurationError, match="make the group anew"):
            again()


def test_more_than_can_be_held_are_not_listed() -> None:
    assert len(Source(iter(range(MOST_LISTED))).listed()) == MOST_LISTED
    with pytest.raises(ConfigurationError, match="more than 10,000 members"):
        Source(count()).listed()


def test_copies_of_a_list_are_their_own_and_of_an_iterator_the_same() -> None:
    listed, read = Source([1]), Source(iter([1]))
    assert listed.copied(lambda one: one + 1).listed() == [2] and listed.listed() == [1]
    assert read.copied(lambda one: one + 1) is read


def test_nothing_has_no_first() -> None:
    assert Source(iter(())).first() is None
    assert Source[int]([]).first() is None
