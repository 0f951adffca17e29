"""A RabbitMQ node of the bench's own, gone with the block."""

from collections.abc import Iterator
from contextlib import contextmanager

from bench.reading import CannotMeasure
from tests.engines.rabbitmq import Server


@contextmanager
def private_rabbitmq() -> Iterator[str]:
    """Its URL. CannotMeasure where RabbitMQ is not installed."""
    try:
        server = Server()
    except (AssertionError, FileNotFoundError) as error:
        raise CannotMeasure(str(error)) from error
    try:
        yield server.url
    finally:
        server.remove()
