"""Serve a web application on loopback, and say where in the first line of output.

Port 0 takes a free port. The socket listens before the line is printed, so a parent process that
has read the line can connect without trying twice.
"""

import socket

import uvicorn
from starlette.types import ASGIApp

STOP_WITHIN_S = 2


def listen(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(2048)
    return sock


def serve(app: ASGIApp, sock: socket.socket, path: str = "") -> None:
    """Serve until SIGINT or SIGTERM. Open answers have STOP_WITHIN_S seconds to end."""
    config = uvicorn.Config(app, access_log=False, log_level="warning", timeout_graceful_shutdown=STOP_WITHIN_S)
    print(f"http://127.0.0.1:{sock.getsockname()[1]}{path}", flush=True)
    uvicorn.Server(config).run(sockets=[sock])
