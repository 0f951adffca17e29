"""What Redis itself gives: take and settle with results, in batches, by a loop of two bare Lua calls.

The least Lua that keeps the same promises: the order (priority, age), a holder and a token that fences, a result under
an id that expires. No leases, delays, cancelling, watching. Beside it, in the same run, the loop through the engine.
"""

import asyncio
import time
import uuid

import redis.asyncio

from bench.private_redis import private_redis
from bench.through_engine import BATCH, BODY, RESULT, through_engine

TAKE = """
local popped = redis.call('ZPOPMIN', KEYS[1], ARGV[1])
local answer, held = {}, {}
for at = 1, #popped, 2 do
  local id = popped[at]
  local token = redis.call('HINCRBY', KEYS[2], id, 1)
  held[#held + 1] = id
  held[#held + 1] = token
  answer[#answer + 1] = id
  answer[#answer + 1] = token
  answer[#answer + 1] = redis.call('GET', 'body:' .. id)
end
if #held > 0 then redis.call('HSET', KEYS[3], unpack(held)) end
return answer
"""
SETTLE = """
local accepted = 0
for at = 1, #ARGV, 3 do
  local id = ARGV[at]
  if redis.call('HGET', KEYS[2], id) == ARGV[at + 1] then
    redis.call('HDEL', KEYS[1], id)
    redis.call('HDEL', KEYS[2], id)
    redis.call('DEL', 'body:' .. id)
    redis.call('SET', 'result:' .. id, ARGV[at + 2], 'EX', 86400)
    accepted = accepted + 1
  end
end
return accepted
"""


async def raw(url: str, count: int) -> float:
    """Tasks a second, from the first take to the last settle."""
    client = redis.asyncio.Redis.from_url(url)
    take, settle = client.register_script(TAKE), client.register_script(SETTLE)
    for start in range(0, count, 1000):
        pipeline = client.pipeline(transaction=False)
        for number in range(start, start + 1000):
            id = uuid.uuid4().hex
            pipeline.set(f"body:{id}", BODY).zadd("line", {id: number})
        await pipeline.execute()
    start_time = time.perf_counter()
    settled = 0
    while taken := await take(keys=["line", "tokens", "held"], args=[BATCH]):
        words = [word for at in range(0, len(taken), 3) for word in (taken[at], taken[at + 1], RESULT)]
        settled += await settle(keys=["tokens", "held"], args=words)
    took = time.perf_counter() - start_time
    await client.aclose()
    if settled != count:
        raise AssertionError(f"{settled} of {count} tasks were settled")
    return count / took


def measure(count: int) -> None:
    """Print both, on a server of their own."""
    with private_redis() as url:
        bare = asyncio.run(raw(url, count))
        put, drained = asyncio.run(through_engine(url, count))
    print(f"raw Lua, batches of {BATCH}: {bare:,.0f} tasks/s")
    print(f"polypool's engine, batches of {BATCH}: {drained:,.0f} tasks/s ({drained / bare:.0%}); put {put:,.0f}/s")


if __name__ == "__main__":
    measure(30_000)
