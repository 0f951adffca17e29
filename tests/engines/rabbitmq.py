"""A RabbitMQ server for tests: the one that POLYPOOL_TEST_RABBITMQ names, else a private node on free ports.

A private node has its own name, folder, cookie and epmd, so that it meets no other node of the machine. Where no
RabbitMQ is installed, Debian's package is, given apt and root. A server that was not started here sees nothing but
queues under prefixes of the tests' own, which are removed.
"""

import atexit
import contextlib
import functools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pamqp import commands

from polypool.brokers.rabbitmq.frames import Envelope
from polypool.brokers.rabbitmq.options import Options
from polypool.brokers.rabbitmq.queues import Queues
from polypool.brokers.rabbitmq.wire import dial
from polypool.core.message import Lane
from tests.engines.debian import install
from tests.engines.ports import free_port

VARIABLE = "POLYPOOL_TEST_RABBITMQ"
PATIENCE = 120.0
"""Seconds for a node to start or stop: it takes three on an idle machine, and tests never run on one."""

_MISSING = f"""no RabbitMQ to test against; one of these helps:
  apt-get install rabbitmq-server   (or your system's package; it need not be started)
  {VARIABLE}=amqp://USER:PASSWORD@HOST/VHOST   a running one; the tests keep to prefixes of their own"""


class Server:
    """A private node: loopback only, in a folder of its own, ended by its pid. `settings` go into rabbitmq.conf,
    `arguments` to the Erlang that runs it."""

    def __init__(self, settings: Mapping[str, str] | None = None, arguments: str = "") -> None:
        self.port, self._distribution_port, self._epmd_port = free_port(), free_port(), free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="polypool-rabbitmq-"))
        lines = {
            "listeners.tcp.1": f"127.0.0.1:{self.port}",
            "disk_free_limit.absolute": "1MB",
            "log.file.level": "warning",
            **(settings or {}),
        }
        (self._folder / "rabbitmq.conf").write_text("".join(f"{key} = {value}\n" for key, value in lines.items()))
        (self._folder / "enabled_plugins").write_text("[].\n")
        (self._folder / "env.conf").touch()
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("RABBITMQ_", "ERL_"))},
            "HOME": str(self._folder),  # where the cookie is
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"polypool-{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution_port),
            "RABBITMQ_CONF_ENV_FILE": str(self._folder / "env.conf"),
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
            "RABBITMQ_PID_FILE": str(self._pid_file),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-kernel inet_dist_use_interface {{127,0,0,1}} {arguments}",
        }
        self._epmd = self._spawn([str(_epmd()), "-port", str(self._epmd_port), "-address", "127.0.0.1"])
        self._script: subprocess.Popen[bytes] | None = None
        try:
            self.start()
        except BaseException:
            self.remove()
            raise

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start, on the data of an earlier life; returns when it takes connections."""
        self._pid_file.unlink(missing_ok=True)
        self._script = self._spawn([str(program())])
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._script.poll() is None, self._log()
            assert time.monotonic() < deadline, f"RabbitMQ did not answer within {PATIENCE:g} s:\n{self._log()}"
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """SIGTERM: in good order; SIGKILL: as if it crashed."""
        if self._script is None:
            return
        # The script waits for the node and is no use as its handle: signals must reach the node itself.
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            os.kill(int(self._pid_file.read_text()), how)
        self._script.wait(PATIENCE)
        self._script = None

    def pause(self) -> None:
        """The node hangs; nothing is answered until `resume`."""
        os.kill(int(self._pid_file.read_text()), signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(int(self._pid_file.read_text()), signal.SIGCONT)

    def control(self, *words: str) -> str:
        """What `rabbitmqctl` says; it takes a second or two."""
        command = [str(program().with_name("rabbitmqctl")), "--quiet", *words]
        ended = subprocess.run(
            command, env=self._environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def remove(self) -> None:
        self.stop(signal.SIGKILL)
        self._epmd.terminate()
        self._epmd.wait(PATIENCE)
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _pid_file(self) -> Path:
        return self._folder / "pid"

    def _spawn(self, command: list[str]) -> "subprocess.Popen[bytes]":
        with (self._folder / "output").open("ab") as output:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self._environment, cwd=self._folder
            )

    def _answers(self) -> bool:
        if not self._pid_file.exists():
            return False
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as probe:
                probe.sendall(b"AMQP\x00\x00\x09\x01")
                return probe.recv(1) == b"\x01"
        except OSError:
            return False

    def _log(self) -> str:
        texts = [path.read_text(errors="replace")[-4000:] for path in self._folder.glob("log/*.log")]
        return "\n".join([(self._folder / "output").read_text(errors="replace")[-4000:], *texts])


@functools.cache
def url() -> str:
    """The server that the suites share, started once a process."""
    named = os.environ.get(VARIABLE)
    if named:
        return named.rstrip("/")
    server = Server()
    atexit.register(server.remove)
    return server.url


def fresh_url() -> str:
    """The shared server, under a prefix that nobody used."""
    return f"{url()}?prefix=test-{uuid.uuid4().hex[:12]}"


LANES = [
    Lane(queue, pool) for queue in ("default", "fast", "other") for pool in ("threads", "asyncio", "gevent", "prefork")
]
"""What the tests' queues are for, so that a server that is not ours can be left as it was."""


async def clean(at: str, lanes: Iterable[Lane] = LANES) -> None:
    """Delete the queues of a polypool URL. A private server goes with its queues."""
    if VARIABLE in os.environ:
        for lane in lanes:
            await call(at, commands.Queue.Delete(queue=queue_name(at, lane)))


def queue_name(at: str, lane: Lane) -> str:
    return Queues(Options.parse(at), 1).name(lane)


async def call(at: str, *methods: Any) -> list[Any]:
    """Say something to the server on a plain connection to where a polypool URL leads; the answers."""
    wire = await dial(Options.parse(at), "tests")
    try:
        await wire.open_channel(1)
        return [await wire.call(1, method) for method in methods]
    finally:
        await wire.close()


async def publish(at: str, lane: Lane, *bodies: bytes) -> None:
    """Put bodies into a lane's queue as a foreign sender would."""
    wire = await dial(Options.parse(at), "tests")
    try:
        await wire.open_channel(1)
        envelope = Envelope(1, queue_name(at, lane))
        for body in bodies:
            wire.write(envelope.around(body, wire.frame_max))
        await wire.call(1, commands.Basic.Qos(prefetch_count=1))
    finally:
        await wire.close()


async def depth(at: str, lane: Lane) -> int:
    """How many messages are ready in a lane's queue."""
    [declared] = await call(at, commands.Queue.Declare(queue=queue_name(at, lane), passive=True))
    count: int = declared.message_count
    return count


@functools.cache
def program() -> Path:
    """Where rabbitmq-server is, installed first if need be."""
    found = _found()
    if found is None:
        install("rabbitmq-server")
        found = _found()
    if found is None:
        raise RuntimeError(_MISSING)
    return found


def _found() -> Path | None:
    # Debian's /usr/sbin/rabbitmq-server becomes the user rabbitmq, who cannot write into our folder.
    for folder in ("/usr/lib/rabbitmq/bin", "/opt/homebrew/sbin", "/usr/local/sbin"):
        if (inner := Path(folder, "rabbitmq-server")).exists():
            return inner
    named = shutil.which("rabbitmq-server")
    return Path(named) if named and not named.startswith("/usr/sbin") else None


def _epmd() -> Path:
    named = shutil.which("epmd") or next(iter(Path("/usr/lib/erlang").glob("erts-*/bin/epmd")), None)
    if named is None:
        raise RuntimeError("no epmd beside RabbitMQ; it is part of Erlang (Debian: erlang-base)")
    return Path(named)
