"""The Redis engine: six ports around one connection for calls and one for bells."""

import time
from collections.abc import Callable

from polypool.brokers.redis.bell import Bell
from polypool.brokers.redis.broker import RedisBroker
from polypool.brokers.redis.bus import RedisBus
from polypool.brokers.redis.claims import RedisClaims
from polypool.brokers.redis.dial import Dialer
from polypool.brokers.redis.inspector import RedisInspector
from polypool.brokers.redis.ledger import RedisLedger
from polypool.brokers.redis.link import Link
from polypool.brokers.redis.options import Options
from polypool.brokers.redis.results import RedisResults
from polypool.brokers.redis.watch import Watch


class RedisEngine:
    """What `redis://…`, `rediss://…` and `unix://…` open."""

    def __init__(self, options: Options, clock: Callable[[], float] = time.time) -> None:
        self.place = f"{options.address} ({options.prefix})"
        dialer = Dialer(options)
        # The server's clock decides over leases and delays: those of the machines need not agree.
        # Another clock is a test's.
        link = Link(dialer, (lambda: "") if clock is time.time else lambda: repr(clock()))
        bell = Bell(dialer, link.key(""))
        watch = Watch(bell)
        self.broker = RedisBroker(link, bell, options.timeout, clock)
        self.claims = RedisClaims(link, self.broker)
        self.results = RedisResults(link, bell, watch, options.timeout)
        self.bus = RedisBus(link, bell, watch, options.timeout)
        self.ledger = RedisLedger(link)
        self.inspector = RedisInspector(link)
