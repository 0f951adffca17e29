"""Ports for private servers: given to nobody else of this test run, and out of reach of outgoing connections.

A system picks the ports of outgoing connections from 32768 (Linux) or 49152 (macOS) upwards. A server's port from there
may be gone before it listens. Worse, while a server is away, a client that tries again may be given that very port to
call from: it is then connected to itself, and the server finds its port taken when it comes back.
"""

import contextlib
import functools
import itertools
import os
import random
import socket
from collections.abc import Iterator

FIRST, END = 12_000, 22_000
BUS = 10_000
"""Nodes of a Redis cluster talk to each other on the port so far above their own: nobody's own port either."""
SHARES = 16
"""Of the ports one for each process of a test run, which find free ones at the same moment."""


def free_port() -> int:
    """One that nobody listens on now, nor on the one a cluster's node needs above it."""
    return next(port for port in itertools.islice(_own(), END - FIRST) if _is_free(port) and _is_free(port + BUS))


@functools.cache
def _own() -> Iterator[int]:
    """This process's ports, each in its turn."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports = list(range(FIRST + worker % SHARES, END, SHARES))
    # Another run may be under way. Tests (and hypothesis) seed the common generator: all processes would begin alike.
    random.SystemRandom().shuffle(ports)
    return itertools.cycle(ports)


def _is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind(("127.0.0.1", port))
        return True
    return False
