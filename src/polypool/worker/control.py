"""Control: what people tell a worker, by signals or from the code that runs it."""

import asyncio
import signal
from collections.abc import Awaitable
from typing import Literal

Word = Literal["stop", "roll"]


class Control:
    """SIGTERM and SIGINT: stop, and the second time at once. SIGHUP: roll the children to new code."""

    def __init__(self) -> None:
        self._words: asyncio.Queue[Word] = asyncio.Queue()
        self.is_stopping = asyncio.Event()
        self.is_hurried = asyncio.Event()

    def listen(self) -> None:
        """Take over this process's signals, inside the loop that is to obey them; only the main thread may."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stop)
        loop.add_signal_handler(signal.SIGINT, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.roll)

    def forget(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            asyncio.get_running_loop().remove_signal_handler(number)

    def stop(self) -> None:
        """The first call stops in order, the second one at once."""
        if self.is_stopping.is_set():
            self.is_hurried.set()
        self.is_stopping.set()
        self._words.put_nowait("stop")

    def roll(self) -> None:
        self._words.put_nowait("roll")

    async def next_word(self) -> Word:
        return await self._words.get()

    async def unless_stopping(self, work: Awaitable[None]) -> bool:
        """Do something that may take long; False when a stop came first and ended it."""
        doing = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self.is_stopping.wait())
        try:
            await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                doing.cancel()
                await asyncio.wait({doing})
                return False
            await doing
            return True
        finally:
            stopping.cancel()
