"""A client for the provider that costs next to nothing: keep-alive connections and no more of HTTP than it speaks."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Response:
    """Names in `headers` are in small letters."""

    status_code: int
    headers: Mapping[str, str]
    body: bytes


class Refused(Exception):
    """The provider answered with an error; polypool knows a 429 by `response`, as it does those of any client."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"{response.status_code}: {response.body[:200]!r}")
        self.response = response


class Client:
    """Asks one address. Not for several event loops."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._host, self._port, self._path = parts.hostname or "", parts.port or 80, parts.path
        self._idle: list[Connection] = []

    async def post(self, body: bytes) -> bytes:
        """What the answer to this JSON is. Refused where it is an error."""
        head = (
            f"POST {self._path} HTTP/1.1\r\nhost: {self._host}\r\nauthorization: Bearer bench\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        ).encode()
        response = await self._exchange(head + body)
        if response.status_code >= 400:
            raise Refused(response)
        return response.body

    async def _exchange(self, request: bytes) -> Response:
        """A server closes what was idle for long, maybe just now: then it has not seen the request, and it goes again
        (RFC 9112, 9.3.1)."""
        while True:
            is_new = not self._idle
            reader, writer = await self._connection()
            try:
                writer.write(request)
                response = await _read(reader)
            except (ConnectionResetError, BrokenPipeError, asyncio.IncompleteReadError) as error:
                writer.close()
                if is_new or getattr(error, "partial", b""):
                    raise
            except BaseException:
                writer.close()
                raise
            else:
                self._idle.append((reader, writer))
                return response

    async def _connection(self) -> Connection:
        """One that the provider has not closed meanwhile; the most recently used is the least likely to be."""
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer
            writer.close()
        return await asyncio.open_connection(self._host, self._port)

    def close(self) -> None:
        for _, writer in self._idle:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Response:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
    body = await reader.readexactly(int(headers["content-length"]))
    return Response(int(lines[0].split()[1]), headers, body)
