"""Which RabbitMQ is this, and what can it do? Asked of what the server says when it greets."""

from typing import Any

import msgspec

from polypool.core.error import EngineDamaged

OLDEST = (3, 6)
WITH_QUORUM = (3, 8)
WITHOUT_DELIVERY_LIMIT = (4, 0)
"""From here on a quorum queue drops what came back twenty times, unless told not to. What kills its workers is counted
by the backend, and a copy that came back was only lent too widely."""

PRIORITIES = 20
"""Levels of a classic queue beside the lowest: each is a queue of its own inside the server."""


class Server(msgspec.Struct, frozen=True):
    """What answers, as far as it matters."""

    product: str
    version: tuple[int, int]

    @classmethod
    def of(cls, properties: dict[str, Any], address: str) -> "Server":
        """EngineDamaged where it will not do."""
        product, text = str(properties.get("product", "?")), str(properties.get("version", "0.0"))
        version = _version(text)
        if product == "RabbitMQ" and version < OLDEST:
            raise EngineDamaged(f"{address}: this is RabbitMQ {text}; polypool needs {OLDEST[0]}.{OLDEST[1]} or newer")
        return cls(product, version)

    def queue_type(self, wanted: str | None) -> str:
        """Quorum where there are any; classic on other makes of AMQP servers, which know no types."""
        if wanted is not None:
            return wanted
        return "quorum" if self.product == "RabbitMQ" and self.version >= WITH_QUORUM else "classic"

    def arguments(self, wanted: str | None) -> list[dict[str, Any]]:
        """What to declare a queue with; the later ones are for queues that an older server made."""
        if self.queue_type(wanted) == "quorum":
            plain = {"x-queue-type": "quorum"}
            return [{**plain, "x-delivery-limit": -1}, plain] if self.version >= WITHOUT_DELIVERY_LIMIT else [plain]
        arguments: dict[str, Any] = {"x-max-priority": PRIORITIES} if wanted == "classic" else {}
        if self.product == "RabbitMQ" and self.version >= WITH_QUORUM:
            arguments["x-queue-type"] = "classic"  # the virtual host's default may be another
        return [arguments]


def _version(text: str) -> tuple[int, int]:
    major, _, rest = text.partition(".")
    minor = rest.partition(".")[0]
    return (int(major) if major.isdecimal() else 0, int(minor) if minor.isdecimal() else 0)
