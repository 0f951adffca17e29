"""Those who use a web app: many requests at once, counted answer by answer."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from tests.whole.servers import request

PATIENCE = 60.0

Answer = tuple[int, str]
"""Status and body; status 0 where the connection broke."""


def ask_all(path: str, requests: Sequence[str], at_once: int = 50) -> list[Answer]:
    """The answers to all requests, in their order, each on a connection of its own."""
    return asyncio.run(_ask_all(path, requests, at_once))


@contextlib.contextmanager
def asking(path: str, requests: Sequence[str], at_once: int = 50) -> Iterator["Future[list[Answer]]"]:
    """The same, while the caller looks at what happens."""
    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(ask_all, path, requests, at_once)


async def _ask_all(path: str, requests: Sequence[str], at_once: int) -> list[Answer]:
    seats = asyncio.Semaphore(at_once)

    async def ask(what: str) -> Answer:
        async with seats:
            try:
                async with asyncio.timeout(PATIENCE):
                    return await _ask(path, what)
            except (OSError, ValueError, IndexError) as error:
                return 0, repr(error)

    return list(await asyncio.gather(*(ask(what) for what in requests)))


async def _ask(path: str, what: str) -> Answer:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(request(what))
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()
    finally:
        writer.close()
