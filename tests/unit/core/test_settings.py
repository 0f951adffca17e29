"""What a worker can be told: sizes of pools as people write them, and URLs as they may be shown."""

import pytest

from polypool.core.error import ConfigurationError
from polypool.core.settings import PoolSpec, without_password


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("asyncio=1000", PoolSpec("asyncio", 1, 1000)),
        ("asyncio=4x250", PoolSpec("asyncio", 4, 250)),
        ("prefork=8", PoolSpec("prefork", 8, 1)),
        ("solo", PoolSpec("solo", 1, 1)),
    ],
)
def test_a_pools_size_is_read_as_people_write_it(text: str, spec: PoolSpec) -> None:
    assert PoolSpec.parse(text) == spec


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fork=2", "there are asyncio, threads, prefork"),
        ("asyncio=many", "the size is N or CxN"),
        ("threads=0", "at least 1"),
        ("prefork=2x4", "write --pool prefork=2"),
    ],
)
def test_a_size_that_makes_no_sense_says_what_to_write(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        PoolSpec.parse(text)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://bob:se@cret@db:5432/shop?pooled=yes", "postgresql://bob@db:5432/shop?pooled=yes"),
        ("redis://:secret@cache/0", "redis://@cache/0"),
        ("redis://cache/0", "redis://cache/0"),
        ("sqlite:///shop.db", "sqlite:///shop.db"),
    ],
)
def test_an_engines_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown
