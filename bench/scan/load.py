"""The users, by Locust: each sends a photo, follows its events to the answer, and sends again.

`python -m bench.scan.load ADDRESS USERS JOIN_PER_SECOND SECONDS` writes a line for each chain that ended: when it was
sent, when its first event came, when it ended (time.monotonic()), and what went wrong.

A socket a user and no more of HTTP than that: Locust's own clients take a processor for themselves at these rates.
"""

# gevent patches first, before anything else is loaded.
from locust import User, constant, task  # isort: skip
from locust.env import Environment  # isort: skip

import sys
import time
from typing import Any
from urllib.parse import urlsplit

import gevent
from gevent import socket

PHOTO = b"\xff\xd8 a photo \xff\xd9"
PATIENCE_S = 900.0


class Broken(Exception):
    """The API answered with something else than a chain and its end."""


class Conversation:
    """One connection to the API."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = b""

    def send(self) -> str:
        """The address of the events."""
        head = (
            f"POST /scans HTTP/1.1\r\nhost: bench\r\ncontent-type: image/jpeg\r\ncontent-length: {len(PHOTO)}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + PHOTO)
        head, _, self._read = self._until(b"\r\n\r\n").partition(b"\r\n\r\n")
        if b" 202 " not in head:
            raise Broken(head.decode("latin-1").partition("\r\n")[0])
        said = self._until(b"}")
        self._read = b""
        return said.decode().partition('"events":"')[2].partition('"')[0]

    def follow(self, events: str) -> tuple[float, str]:
        """When the first event came, and how it ended."""
        self._socket.sendall(f"GET {events} HTTP/1.1\r\nhost: bench\r\n\r\n".encode())
        self._until(b"event: ")
        first_at = time.monotonic()
        story = self._until(b"\r\n0\r\n\r\n")
        self._read = b""
        return first_at, story.rpartition(b"event: end\ndata: ")[2].partition(b"\n")[0].decode("latin-1")

    def close(self) -> None:
        self._socket.close()

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._read:
            got = self._socket.recv(65_536)
            if not got:
                raise Broken("the connection broke off")
            self._read += got
        return self._read


class Visitor(User):
    """Sends one photo after the other."""

    wait_time = constant(0)

    def on_start(self) -> None:
        self.conversation: Conversation | None = None

    @task
    def scan(self) -> None:
        sent_at, first_at, error = time.monotonic(), 0.0, ""
        try:
            if self.conversation is None:
                self.conversation = Conversation(self.host)
            first_at, state = self.conversation.follow(self.conversation.send())
            error = "" if state == "succeeded" else f"the chain {state}"
        except (OSError, Broken) as failure:
            error = f"{type(failure).__name__}: {failure}"
            self._hang_up()
            gevent.sleep(0.1)
        ended_at = time.monotonic()
        took_ms = (ended_at - sent_at) * 1e3
        # What Locust counts, so that its own statistics and listeners work as usual.
        self.environment.events.request.fire(
            request_type="SCAN", name="chain", response_time=took_ms, response_length=0, exception=error or None
        )
        print(f"{sent_at:.4f}\t{first_at:.4f}\t{ended_at:.4f}\t{error}")

    def on_stop(self) -> None:
        self._hang_up()

    def _hang_up(self) -> None:
        if self.conversation is not None:
            self.conversation.close()
        self.conversation = None


def main(address: str, users: int, per_second: float, seconds: float) -> None:
    environment: Any = Environment(user_classes=[Visitor], host=address)
    runner = environment.create_local_runner()
    runner.start(users, spawn_rate=per_second)
    gevent.sleep(seconds)
    sys.stdout.flush()
    runner.quit()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
