"""RabbitMQ's refusals as polypool's errors: mapped once, each saying what to do."""

import ssl

from polypool.brokers.rabbitmq.frames import Garbled
from polypool.core.error import ConfigurationError, EngineDamaged, EngineError, EngineUnreachable, PolypoolError


class Closed(Exception):
    """The server closed a channel or the connection, with an AMQP reply code and words."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text


_BY_CODE: dict[int, tuple[type[EngineError], str]] = {
    320: (EngineUnreachable, "the server is shutting down or an administrator closed the connection"),
    402: (EngineDamaged, "another client has this queue for itself"),
    403: (
        EngineDamaged,
        "wrong user or password, or no right to do this (the user needs configure, write and read on the queues of the "
        "prefix); the URL says them: amqp://USER:PASSWORD@HOST/VHOST, and `rabbitmqctl set_permissions` gives rights",
    ),
    501: (EngineDamaged, "is this port AMQP's (5672, with TLS 5671)?"),
    506: (
        EngineUnreachable,
        "the server has no room for this: see its log, and its limits of connections and channels",
    ),
    530: (
        EngineDamaged,
        "there is no such virtual host, or this user may not use it; the path of the URL names it (/ is written %2F or "
        "left out): `rabbitmqctl add_vhost NAME`, `rabbitmqctl set_permissions -p NAME USER '.*' '.*' '.*'`",
    ),
    540: (EngineDamaged, "this server cannot do that; ?queue_type=classic works on every release"),
    541: (EngineUnreachable, "an internal error of the server; see its log"),
}


def mapped(error: BaseException, address: str) -> PolypoolError:
    """The error to raise to polypool's callers."""
    if isinstance(error, PolypoolError):
        return error
    if isinstance(error, Closed) and error.code == 406 and "acknowledgement" in error.text:
        return EngineUnreachable(
            f"{address}: a task ran for longer than the server waits for acknowledgements; it goes on, so does this "
            f"worker, but tell it that time: ?consumer_timeout=SECONDS in the URL (the server says: {error})"
        )
    if isinstance(error, Closed):
        kind, advice = _BY_CODE.get(error.code, (EngineUnreachable, ""))
        return kind(f"{address}: {advice}{' ' if advice else ''}(the server says: {error})")
    if isinstance(error, ssl.SSLError):
        return EngineDamaged(
            f"{address}: no TLS connection; amqps:// needs a TLS port (5671) and a certificate that is trusted "
            f"(?cafile=FILE names another authority), and ?certfile=FILE&keyfile=FILE where the server wants one; "
            f"amqp:// needs a plain port (TLS says: {error})"
        )
    if isinstance(error, Garbled):
        return EngineDamaged(
            f"{address}: what answers there is no RabbitMQ; is this port AMQP's (5672, with TLS 5671)? ({error})"
        )
    if isinstance(error, TimeoutError):
        return EngineUnreachable(
            f"{address}: no answer in time; is the server overloaded, stopped or cut off, and is "
            "the port AMQP's (5672, with TLS 5671)?"
        )
    if isinstance(error, OSError):
        return EngineUnreachable(f"{address}: cannot be reached; is it running, and are host and port right? ({error})")
    return EngineUnreachable(f"{address}: {type(error).__name__}: {error}")


def inequivalent(queue: str, vhost: str, error: Closed) -> ConfigurationError:
    """A queue of that name is there and made otherwise."""
    return ConfigurationError(
        f"the queue {queue} in virtual host {vhost} was made by somebody else, or by this app with another "
        f"?queue_type=, and is not fit (the server says: {error.text}). Let workers empty it and delete it: "
        f"`rabbitmqctl delete_queue -p {vhost} {queue}`; or give the app names of its own: ?prefix=NAME"
    )
