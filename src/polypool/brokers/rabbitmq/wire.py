"""One AMQP connection: handshake, heartbeats, calls and their answers. What it does on its own is all in this file."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from pamqp import commands, frame

from polypool.brokers.rabbitmq.fault import Closed
from polypool.brokers.rabbitmq.frames import Confirmed, Delivered, FrameReader, Garbled, Told
from polypool.brokers.rabbitmq.options import Options

GREETING = b"AMQP\x00\x00\x09\x01"
HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"
LARGEST_FRAME = 131_072
CAPABILITIES = {
    "publisher_confirms": True,
    "basic.nack": True,
    "consumer_cancel_notify": True,
    "connection.blocked": True,
    "authentication_failure_close": True,
}

logger = logging.getLogger("polypool.rabbitmq")


class Wire(asyncio.Protocol):
    """From the greeting to the end. An unasked close of a channel ends the connection: nothing here survives one,
    except where a call on that channel was being waited for, which is then told.

    `on_delivered`, `on_confirmed` and `on_told` are called for what the server says by itself.
    """

    def __init__(self, options: Options, name: str) -> None:
        self._options = options
        self._name = name
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._calls: dict[int, deque[tuple[asyncio.Future[Any], str]]] = {}
        self._closed_channels: set[int] = set()
        self._last_heard = self._last_said = self._loop.time()
        self._interval = options.heartbeat
        self._beating: asyncio.TimerHandle | None = None
        self._is_writable = asyncio.Event()
        self._is_writable.set()
        self.unblocked = asyncio.Event()
        """Cleared while the server takes no messages because its memory or disk is short."""
        self.unblocked.set()
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self.lost: asyncio.Future[BaseException] = self._loop.create_future()
        """Set to the reason once the connection is of no more use."""
        self.frame_max = LARGEST_FRAME
        self.properties: dict[str, Any] = {}
        """What the server says of itself."""
        self.on_delivered: Callable[[Delivered], None] = _ignore
        self.on_confirmed: Callable[[Confirmed], None] = _ignore
        self.on_told: Callable[[Told], None] = _ignore

    @property
    def is_usable(self) -> bool:
        return self.opened.done() and not self.lost.done()

    # What others do with it

    def write(self, words: bytes) -> None:
        """Hand bytes to the line; nothing where it is lost."""
        if self._transport is not None and words:
            self._last_said = self._loop.time()
            self._transport.write(words)

    async def has_room(self) -> None:
        """Wait while the server reads slower than we write."""
        await self._is_writable.wait()

    def call(self, channel: int, method: Any) -> "asyncio.Future[Any]":
        """Send a method and wait for its answer: the method, or (method, body). Closed where it ended the channel."""
        answer: asyncio.Future[Any] = self._loop.create_future()
        if self.lost.done():
            answer.set_exception(self.lost.result())
        else:
            self._calls.setdefault(channel, deque()).append((answer, method.name))
            self.write(frame.marshal(method, channel))
        answer.add_done_callback(_retrieve)
        return answer

    async def open_channel(self, channel: int) -> None:
        self._closed_channels.discard(channel)
        await self.call(channel, commands.Channel.Open())

    def is_open(self, channel: int) -> bool:
        return channel not in self._closed_channels

    async def close(self) -> None:
        """Say goodbye, and do not wait long for the answer."""
        if not self.lost.done():
            try:
                async with asyncio.timeout(min(self._options.timeout, 2.0)):
                    await self.call(0, commands.Connection.Close(200, "bye", 0, 0))
            except Exception as error:
                logger.debug("no goodbye from %s: %s", self._options.address, error)
        self.drop(Closed(200, "closed"))

    def drop(self, reason: BaseException) -> None:
        """The connection is of no more use."""
        if self._beating is not None:
            self._beating.cancel()
        if not self.lost.done():
            self.lost.set_result(reason)
        if not self.opened.done():
            self.opened.set_exception(reason)
            self.opened.exception()
        calls, self._calls = self._calls, {}
        for answers in calls.values():
            for answer, _ in answers:
                if not answer.done():
                    answer.set_exception(reason)
        self._is_writable.set()
        self.unblocked.set()
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        self.write(GREETING)

    def connection_lost(self, error: Exception | None) -> None:
        self.drop(error or ConnectionResetError("the server ended the connection"))

    def pause_writing(self) -> None:
        self._is_writable.clear()

    def resume_writing(self) -> None:
        self._is_writable.set()

    def data_received(self, data: bytes) -> None:
        self._last_heard = self._loop.time()
        try:
            incoming = self._reader.feed(data)
        except Garbled as error:
            self.drop(error)
            return
        for one in incoming:
            if type(one) is Delivered:
                self.on_delivered(one)
            elif type(one) is Confirmed:
                self.on_confirmed(one)
            elif type(one) is Told:
                self._hear(one)

    def _hear(self, told: Told) -> None:
        """The name says the class and the method; each answers for itself."""
        method = told.method
        match method.name:
            case "Connection.Start":
                self._introduce(method)
            case "Connection.Tune":
                self._tune(method)
            case "Connection.OpenOk":
                if not self.opened.done():
                    self.opened.set_result(None)
            case "Connection.Close":
                self.write(frame.marshal(commands.Connection.CloseOk(), 0))
                self.drop(Closed(method.reply_code, method.reply_text))
            case "Connection.Blocked":
                logger.warning(
                    "%s takes no messages now: %s alarm; workers go on", self._options.address, method.reason
                )
                self.unblocked.clear()
            case "Connection.Unblocked":
                logger.info("%s takes messages again", self._options.address)
                self.unblocked.set()
            case "Channel.Close":
                self._end_channel(told.channel, Closed(method.reply_code, method.reply_text))
            case _:
                self._answer(told)

    def _answer(self, told: Told) -> None:
        waiting = self._calls.get(told.channel)
        if waiting and _answers(told.method.name, waiting[0][1]):
            answer, _ = waiting.popleft()
            if not answer.done():
                answer.set_result(told.method if told.body is None else (told.method, told.body))
        else:
            self.on_told(told)

    def _end_channel(self, channel: int, reason: Closed) -> None:
        self.write(frame.marshal(commands.Channel.CloseOk(), channel))
        waiting = self._calls.pop(channel, None)
        self._closed_channels.add(channel)
        if not waiting:
            self.drop(reason)
            return
        for answer, _ in waiting:
            if not answer.done():
                answer.set_exception(reason)

    def _introduce(self, start: Any) -> None:
        self.properties = dict(start.server_properties or {})
        client: dict[str, Any] = {
            "product": "polypool",
            "connection_name": self._name,
            "capabilities": dict(CAPABILITIES),
        }
        response = f"\0{self._options.user}\0{self._options.password}"
        self.write(frame.marshal(commands.Connection.StartOk(client, "PLAIN", response, "en_US"), 0))

    def _tune(self, tune: Any) -> None:
        self.frame_max = min(tune.frame_max or LARGEST_FRAME, LARGEST_FRAME)
        wanted = max(int(self._options.heartbeat), 1)
        beat = min(wanted, tune.heartbeat) if tune.heartbeat else wanted
        self._interval = float(beat)
        self.write(frame.marshal(commands.Connection.TuneOk(tune.channel_max, self.frame_max, beat), 0))
        self.write(frame.marshal(commands.Connection.Open(self._options.vhost), 0))
        self._beating = self._loop.call_later(self._interval / 2, self._beat)

    def _beat(self) -> None:
        now = self._loop.time()
        if now - self._last_heard > 2 * self._interval:
            self.drop(TimeoutError(f"nothing heard for {now - self._last_heard:.0f} s"))
            return
        if now - self._last_said >= self._interval / 2:
            self.write(HEARTBEAT)
        self._beating = self._loop.call_later(self._interval / 2, self._beat)


async def dial(options: Options, name: str) -> Wire:
    """A connection that is ready to open channels; raises what the system or the server said."""
    loop = asyncio.get_running_loop()
    tls = options.tls()
    wire: Wire | None = None
    try:
        async with asyncio.timeout(options.timeout):
            _, wire = await loop.create_connection(
                lambda: Wire(options, name),
                options.host,
                options.port,
                ssl=tls,
                server_hostname=options.host if tls else None,
            )
            await wire.opened
    except BaseException as error:
        if wire is not None:
            wire.drop(error)
        raise
    return wire


def _answers(said: str, asked: str) -> bool:
    return said == f"{asked}Ok" or (asked == "Basic.Get" and said in ("Basic.GetOk", "Basic.GetEmpty"))


def _ignore(_: Any) -> None:
    """Nobody listens yet."""


def _retrieve(answer: "asyncio.Future[Any]") -> None:
    """Whoever waited for it may have gone."""
    if not answer.cancelled():
        answer.exception()
