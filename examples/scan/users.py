"""The demo's users: each sends a photo, follows its events until the answer is there, and sends another."""

import asyncio
import json
import random
import time
from dataclasses import dataclass, field

import httpx
from httpx_sse import aconnect_sse

from examples.photographs import CATALOGUE, Photograph, as_taken

JOIN_PER_SECOND = 10.0
ANSWER_WITHIN_S = 120.0
TAKES_PER_PHOTOGRAPH = 2


@dataclass(eq=False)
class Chain:
    """One photo's way through the pipeline as its user saw it; moments are time.monotonic()."""

    photograph: Photograph
    sent_at: float
    stage_ended_at: dict[str, float] = field(default_factory=dict)
    first_word_at: float | None = None
    ended_at: float | None = None
    result: dict[str, object] | None = None
    error: str = ""

    @property
    def is_good(self) -> bool:
        return self.result is not None

    @property
    def duration_s(self) -> float:
        return (self.ended_at or time.monotonic()) - self.sent_at

    @property
    def is_recognised(self) -> bool:
        return self.result is not None and self.result.get("item") == self.photograph.item

    def stage_durations_s(self) -> dict[str, float]:
        """Seconds that each stage took, from the end of the one before it."""
        moments = [self.sent_at, *self.stage_ended_at.values()]
        return {
            stage: end - start for stage, start, end in zip(self.stage_ended_at, moments, moments[1:], strict=False)
        }


@dataclass(frozen=True)
class Take:
    """A photo ready to be sent."""

    photograph: Photograph
    jpeg: bytes


def take_photos() -> list[Take]:
    """Every photograph as a few users took it. CPU-heavy: half a second or two."""
    return [
        Take(photograph, as_taken(photograph, seed)) for seed in range(TAKES_PER_PHOTOGRAPH) for photograph in CATALOGUE
    ]


class Crowd:
    """Users at work, and all that they have seen."""

    def __init__(self, api: httpx.AsyncClient, takes: list[Take]) -> None:
        self.under_way: set[Chain] = set()
        self.ended: list[Chain] = []
        self._api = api
        self._takes = takes

    async def stay(self, users: int, seconds: float) -> None:
        """Send photos for so long, then wait for the last answers."""
        until = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            for number in range(users):
                group.create_task(self._use(number, until))

    async def _use(self, number: int, until: float) -> None:
        chance = random.Random(number)
        await asyncio.sleep(number / JOIN_PER_SECOND)
        while time.monotonic() < until:
            await self.send(chance.choice(self._takes))

    async def send(self, take: Take) -> Chain:
        """Send one photo and follow it to its end."""
        chain = Chain(take.photograph, sent_at=time.monotonic())
        self.under_way.add(chain)
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await self._follow(chain, await self._post(take))
        except TimeoutError:
            chain.error = f"no answer within {ANSWER_WITHIN_S:.0f} s"
        except httpx.HTTPError as error:
            chain.error = f"{type(error).__name__}: {error}"
        finally:
            chain.ended_at = time.monotonic()
            self.under_way.discard(chain)
        self.ended.append(chain)
        return chain

    async def _post(self, take: Take) -> str:
        answered = await self._api.post("/scans", content=take.jpeg, headers={"content-type": "image/jpeg"})
        answered.raise_for_status()
        return str(answered.json()["events"])

    async def _follow(self, chain: Chain, events: str) -> None:
        async with aconnect_sse(self._api, "GET", events) as source:
            async for event in source.aiter_sse():
                if not event.data:
                    continue  # the server shows now and then that it is still there
                data = json.loads(event.data)
                if event.event == "progress":
                    chain.stage_ended_at[data["note"]] = time.monotonic()
                elif event.event == "word":
                    chain.first_word_at = chain.first_word_at or time.monotonic()
                elif event.event == "end":
                    chain.result, chain.error = data.get("result"), data.get("error") or ""
                    return
        chain.error = "the stream of events broke off"
