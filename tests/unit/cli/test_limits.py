"""What `polypool limits` shows."""

import asyncio

from polypool.brokers.memory import MemoryEngine
from polypool.core.ledger import Adapt, Pause, Rate, Reservation, Slot
from tests.unit.cli.conftest import Typed


def charged(engine: MemoryEngine) -> None:
    async def charge() -> None:
        charges = (Rate("openai", 500.0, 60.0, burst=2.0), Slot("tenant:acme", 3))
        assert all(await engine.ledger.reserve("w1", 600.0, [Reservation("r", charges)]))
        await engine.ledger.adjust([Pause("openai", 60.0), Adapt("tenant:acme", 1.0, 1.0, 600.0)])

    asyncio.run(charge())


def test_each_key_is_shown_with_its_rate_what_is_used_and_what_stands_in_the_way(
    polypool: Typed, engine: MemoryEngine
) -> None:
    charged(engine)
    lines = polypool("limits").out.splitlines()
    assert lines[1].split() == ["key", "rate", "used", "burst", "held", "slots", "now"]
    assert lines[2].split()[:2] == ["openai", "500/m"] and "paused for" in lines[2]
    assert lines[3].split()[:3] == ["tenant:acme", "1", "1"] and "by the provider's word" in lines[3]


def test_as_json_and_by_how_keys_begin(polypool: Typed, engine: MemoryEngine) -> None:
    charged(engine)
    seen = polypool("limits", "--json", "--prefix", "tenant:").json
    assert seen.keys() == {"engine", "at", "limits"}
    (limit,) = seen["limits"]
    assert (limit["key"], limit["held"], limit["limit"], limit["is_adapted"]) == ("tenant:acme", 1, 1, True)


def test_without_limits_it_says_so(polypool: Typed, engine: MemoryEngine) -> None:
    assert "no key is in use" in polypool("limits").out
