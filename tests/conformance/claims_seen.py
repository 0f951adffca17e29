"""What the suites of the Claims port share."""

from polypool.core.message import Delivery
from polypool.core.port import Claims
from tests.conformance.scene import message

GUARD = 30.0
LONG = 80_000.0
DAY = 86_400.0


async def enroll(claims: Claims, *names: str, **fields: object) -> None:
    assert all(await claims.enroll([message(name, **fields) for name in names], GUARD))


async def claim_one(claims: Claims, name: str, worker: str = "w1") -> Delivery | None:
    [delivery] = await claims.claim([message(name)], worker)
    return delivery
