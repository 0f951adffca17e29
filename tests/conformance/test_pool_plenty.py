"""What a task brings forth has a limit; whoever goes beyond it is told, and its child lives. In all kinds of pool."""

import pytest

from polypool.core.message import LARGEST_BYTES
from tests.conformance.pool_seen import KINDS, Open, spec

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.parametrize("kind", KINDS)]

PLENTY = 50_000_000


async def test_a_result_of_50_megabytes_fails_its_task_with_the_limit_and_the_child_goes_on(
    opened: Open, kind: str
) -> None:
    async with opened(spec(kind)) as bench:
        pid, *_ = await bench.value("who")
        failure = await bench.failure("plenty", "result", PLENTY)
        assert failure.type == "polypool.core.error.MessageTooLarge"
        assert failure.message == (
            "plenty returned 50,000,005 bytes and a result may have 16,777,216 (16 MiB): "
            "store the data elsewhere and return where it is"
        )
        assert (await bench.value("who"))[0] == pid


async def test_the_largest_result_that_may_be_comes_back(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        assert len(await bench.value("plenty", "result", LARGEST_BYTES - 5)) == LARGEST_BYTES - 5


async def test_an_event_that_is_too_large_is_refused_where_it_is_emitted(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        failure = await bench.failure("plenty", "event", PLENTY)
        assert failure.type == "polypool.core.error.MessageTooLarge"
        assert "emit got 50,000,005 bytes and an event may have 16,777,216 (16 MiB)" in failure.message
        assert "in plenty" in failure.traceback


async def test_an_error_with_an_endless_text_keeps_its_beginning_and_its_end(opened: Open, kind: str) -> None:
    async with opened(spec(kind)) as bench:
        failure = await bench.failure("plenty", "error", PLENTY)
        assert failure.type == "ValueError"
        assert len(failure.message) < 20_000 and len(failure.traceback) < 80_000
        assert "characters left out" in failure.message
