"""bench/scan's pure parts, and its client against a server that closes idle connections."""

import asyncio
import random

import pytest

from bench.scan.client import Client, Refused
from bench.scan.figures import Chain, Course, Sample, figures_of, slope
from bench.scan.ideal import ideal
from bench.scan.plan import ALONE_S, Plan


def test_few_users_are_held_up_by_their_chains_alone() -> None:
    few = ideal(Plan(users=20, scale=10))
    assert few.stay.mean == pytest.approx(ALONE_S / 10, rel=0.1)
    assert few.rate == pytest.approx(20 / (ALONE_S / 10), rel=0.1)


def test_many_users_share_the_limit() -> None:
    plan = Plan(users=1_000, scale=10)
    many = ideal(plan)
    assert many.rate == pytest.approx(plan.limit, rel=0.02)
    assert many.stay.mean == pytest.approx(1_000 / plan.limit, rel=0.02)


def test_the_ideal_does_not_depend_on_the_scale() -> None:
    slow, fast = (ideal(Plan(users=500, scale=scale)) for scale in (1, 40))
    assert fast.stay.p95 * 40 == pytest.approx(slow.stay.p95, rel=0.1)


def test_only_what_ended_while_it_counted_counts_but_all_429s_do() -> None:
    chains = [
        Chain(0.0, 1.0, 9.9, ""),
        Chain(5.0, 6.0, 12.0, ""),
        Chain(5.0, 0.0, 15.0, "the chain failed"),
        Chain(11.0, 12.0, 20.1, ""),
    ]
    samples = [sample(at, refused=int(at >= 5)) for at in (0.0, 5.0, 10.0, 15.0, 20.0)]
    figures = figures_of(Course(chains, samples, 0.0, 10.0, 20.0))
    assert (figures.chains, figures.failed, figures.rate) == (2, 1, 0.1)
    assert (figures.stay.p50, figures.first.p50) == (7.0, 1.0)
    assert figures.refused == 1
    assert figures.errors == {"the chain failed": 1}
    assert figures.cores == {"worker 1": pytest.approx(0.5)}


def test_after_halving_what_passed_before_it_settled_does_not_count() -> None:
    samples = [sample(float(at), requests=10 * min(at, 6) + 5 * max(at - 6, 0), refused=at // 7) for at in range(21)]
    course = Course([Chain(0.0, 1.0, 2.0, "")], samples, 0.0, 1.0, 20.0, halved=5.0)
    figures = figures_of(course, settles_s=5.0)
    assert figures.settled_rate == pytest.approx(5.0)
    assert figures.refused_after_halving == 2


def test_growth_is_the_slope_of_the_nearest_line() -> None:
    chance = random.Random(1)
    assert slope([(x, 3 * x + chance.uniform(-1, 1)) for x in range(1_000)]) == pytest.approx(3, rel=0.01)
    assert slope([(1.0, 2.0)]) == 0


def sample(at: float, requests: int = 0, refused: int = 0) -> Sample:
    return Sample(at, requests, refused, 0, 50.0, {"web": 2}, {"worker 1": at / 2})


async def test_a_connection_that_the_server_closes_unused_costs_no_request() -> None:
    served = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One answer, then closed as soon as a second request begins: as if it had been idle for too long."""
        nonlocal served
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
        served += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await reader.read(1)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = Client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
    async with server:
        assert [await client.post(b"{}") for _ in range(3)] == [b"ok"] * 3
        client.close()
    assert served == 3


async def test_a_refusal_carries_what_the_provider_said() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 429 Too Many\r\nRetry-After-Ms: 250\r\nContent-Length: 0\r\n\r\n")

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    client = Client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
    async with server:
        with pytest.raises(Refused) as refused:
            await client.post(b"{}")
        client.close()
    assert refused.value.response.status_code == 429
    assert refused.value.response.headers["retry-after-ms"] == "250"
