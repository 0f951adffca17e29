"""The RabbitMQ engine: queues for what waits, and a backend beside it for everything that must be known."""

import time
from collections.abc import Callable
from typing import cast

from polypool.brokers.rabbitmq.broker import RabbitBroker
from polypool.brokers.rabbitmq.inspector import RabbitInspector
from polypool.brokers.rabbitmq.options import Options
from polypool.core.inside import Transactional
from polypool.core.port import Backend


class RabbitEngine:
    """What `amqp://…` and `amqps://…` open. Two connections a worker, one for sending and one for taking; a client
    has the first only."""

    def __init__(self, options: Options, backend: Backend, clock: Callable[[], float] = time.time) -> None:
        self.place = f"{options.address} ({options.prefix}), results in {backend.place}"
        self.backend = backend
        self.broker = RabbitBroker(options, backend, clock)
        self.results = backend.results
        self.bus = backend.bus
        self.ledger = backend.ledger
        self.inspector = RabbitInspector(backend.inspector, self.broker.purge)
        if self.broker.traits.transactions:
            # In the backend's own lanes, out of which workers take beside their queues.
            self.inside = cast(Transactional, backend).inside
