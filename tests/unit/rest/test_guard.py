"""Who is let in by a gateway, and how often."""

import httpx
import pytest

from polypool.rest.pace import MOST_CLIENTS, Pace
from polypool.rest.settings import Rate
from tests.unit.storefront import Shop

ONE, TWO = "first-token-0123456789", "second-token-0123456789"


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_every_address_but_the_page_asks_for_a_token(shop: Shop) -> None:
    async with shop.client(tokens=[ONE, TWO]) as web:
        for method, path in (
            ("POST", "/tasks/pack"),
            ("POST", "/tasks/unknown"),
            ("GET", "/results/1"),
            ("DELETE", "/results/1"),
            ("GET", "/results/1/events"),
            ("GET", "/openapi.json"),
        ):
            for headers in ({}, bearer("wrong"), bearer(ONE[:-1]), {"authorization": f"Basic {ONE}"}, bearer("")):
                answer = await web.request(method, path, headers=headers)
                assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer", path
        assert (await web.get("/docs")).status_code == 200


async def test_any_of_the_tokens_lets_in(shop: Shop) -> None:
    async with shop.client(tokens=[ONE, TWO]) as web:
        for token in (ONE, TWO):
            assert (await web.get("/openapi.json", headers=bearer(token))).status_code == 200
        assert (await web.get("/openapi.json", headers={"authorization": f"bearer  {ONE}"})).status_code == 200


async def test_keys_of_two_tokens_are_not_the_same_task(shop: Shop) -> None:
    async with shop.client(tokens=[ONE, TWO]) as web:
        ids = [
            (await _sent(web, {**bearer(token), "idempotency-key": "0123456789abcdef"})).json()["id"]
            for token in (ONE, TWO, ONE)
        ]
    assert ids[0] == ids[2] != ids[1]


async def test_too_many_requests_are_told_when_to_come_again(shop: Shop) -> None:
    async with shop.client(tokens=[ONE, TWO], rate="3/h") as web:
        for _ in range(3):
            assert (await web.get("/openapi.json", headers=bearer(ONE))).status_code == 200
        refused = await web.get("/openapi.json", headers=bearer(ONE))
        assert refused.status_code == 429 and 1 <= int(refused.headers["retry-after"]) <= 1200
        assert (await web.get("/openapi.json", headers=bearer(TWO))).status_code == 200


async def test_guesses_are_counted_too(shop: Shop) -> None:
    async with shop.client(tokens=[ONE], rate="3/h") as web:
        answers = [(await web.get("/openapi.json", headers=bearer(f"guess {n}"))).status_code for n in range(4)]
    assert answers == [401, 401, 401, 429]


def test_a_pace_allows_its_count_at_once_and_then_one_an_interval() -> None:
    pace = Pace(Rate(3, 60.0))
    assert [pace.wait_of("a", 0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 20.0]
    assert pace.wait_of("b", 0.0) == 0.0
    assert pace.wait_of("a", 19.0) == pytest.approx(1.0)
    assert pace.wait_of("a", 20.0) == 0.0
    assert pace.wait_of("a", 20.0) == pytest.approx(20.0)


def test_a_pace_is_never_above_its_count_in_any_window_after_the_first_burst() -> None:
    pace = Pace(Rate(5, 10.0))
    admitted = [now for now in (step * 0.1 for step in range(1000)) if pace.wait_of("a", now) == 0.0]
    for start in range(100):
        assert sum(start <= at < start + 10 for at in admitted) <= 2 * 5
    assert len(admitted) == pytest.approx(5 + 100 / 2, abs=2)


def test_a_pace_remembers_a_bounded_number_of_clients() -> None:
    pace = Pace(Rate(1, 60.0))
    for number in range(3 * MOST_CLIENTS):
        pace.wait_of(f"address {number}", 0.0)
    assert len(pace._whole_at) <= MOST_CLIENTS


async def _sent(web: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    return await web.post("/tasks/pack", json={"item": {"name": "cup"}}, headers=headers)
