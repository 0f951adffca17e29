"""Serve a gateway until told to stop, by uvicorn."""

import signal
import socket
import sys
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from polypool.app import Polypool
from polypool.core.error import ConfigurationError, MissingExtra
from polypool.rest.settings import WebSettings
from polypool.web.asgi import served
from polypool.web.gateway import Gateway

try:
    import uvicorn
except ModuleNotFoundError:
    raise MissingExtra("polypool web needs uvicorn; install it: pip install polypool[web]") from None

BACKLOG = 2048
MARGIN_S = 1.0
"""Streams end within their grace; then what is left is cut off."""


class Server(uvicorn.Server):
    """As uvicorn has it; those who wait for a result are answered before it waits for them."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._gateway = gateway
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._gateway.stop()
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """ConfigurationError where somebody else has the port, or the address is not this machine's."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}, port {port}: {error.strerror or error}\n"
            "Say --port N, or --port 0 for a free one."
        ) from None


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def serve(
    app: Polypool, settings: WebSettings, origins: tuple[str, ...], sock: socket.socket, ready: Callable[[], None]
) -> None:
    """Until TERM or Ctrl-C, then exit with 0. Calls `ready` once requests are answered."""
    gateway = Gateway(app, settings)
    config = uvicorn.Config(
        served(gateway, origins),
        access_log=False,
        log_config=None,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=round(settings.grace + MARGIN_S),
    )
    # uvicorn ends itself by the same signal once more; to whoever started it, a stop in order is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _leave)
    Server(config, gateway, ready).run(sockets=[sock])


def _leave(number: int, frame: Any) -> None:
    sys.exit(0)
