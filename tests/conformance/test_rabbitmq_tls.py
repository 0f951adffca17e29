"""RabbitMQ behind TLS, with a certificate of its own."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from polypool.brokers.open import open_engine
from polypool.core.error import EngineDamaged
from tests.conformance.scene import LANE, Scene, ids
from tests.engines import certificates, rabbitmq
from tests.engines.ports import free_port

LONG = 60.0
pytestmark = pytest.mark.timeout(240)


class Secured:
    """A node that speaks TLS on one port."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self.key = certificates.make(folder)
        self.port = free_port()
        files = {"cacertfile": self.certificate, "certfile": self.certificate, "keyfile": self.key}
        options = {f"ssl_options.{name}": str(file) for name, file in files.items()}
        self.node = rabbitmq.Server({"listeners.ssl.1": f"127.0.0.1:{self.port}", **options})

    def url(self, options: str = "", host: str = "127.0.0.1") -> str:
        return f"amqps://guest:guest@{host}:{self.port}?prefix=tls-{time.time_ns()}&{options}"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    made = Secured(tmp_path_factory.mktemp("tls"))
    yield made
    made.node.remove()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_messages_go_through_tls_both_ways(secured: Secured, host: str) -> None:
    scene = Scene(secured.url(f"cafile={secured.certificate}", host), time.time, "memory://")
    await scene.engine.broker.open()
    await scene.join(lease=LONG)
    large = b"\x92\x91\xc6\x00\x10\x00\x00" + bytes(1 << 20) + b"\x80"  # many TLS records and many frames
    await scene.put("a", args=large)
    [delivery] = await scene.engine.broker.take([LANE], 5, "w1", LONG)
    assert ids([delivery]) == ["a"] and delivery.message.args == large
    assert await scene.settle(delivery)
    await scene.engine.broker.close()


async def test_a_certificate_that_nobody_vouches_for_is_refused_unless_told_otherwise(secured: Secured) -> None:
    engine = open_engine(secured.url(), backend="memory://")
    with pytest.raises(EngineDamaged, match="cafile"):
        await engine.broker.open()
    await engine.broker.close()
    engine = open_engine(secured.url("verify=false"), backend="memory://")
    await engine.broker.open()
    await engine.broker.close()
