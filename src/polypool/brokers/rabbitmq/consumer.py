"""Consumer: through which RabbitMQ pushes one lane's copies."""

import time

from polypool.core.message import Lane


class Consumer:
    """One lane's. Its prefetch is fixed when it begins."""

    __slots__ = ("heard", "lane", "prefetch", "tag")

    def __init__(self, lane: Lane, tag: str, prefetch: int) -> None:
        self.lane = lane
        self.tag = tag
        self.prefetch = prefetch
        self.heard = time.monotonic()
        """When it last brought something, or began."""
