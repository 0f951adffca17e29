"""Worker: one supervisor process. It opens the engine, starts children, obeys signals; it never imports user code."""

import asyncio
import logging
import os
import secrets
import socket

from polypool.brokers.open import open_engine
from polypool.core.error import ConfigurationError, TraitMissing
from polypool.core.manifest import Manifest
from polypool.core.port import Engine
from polypool.core.settings import WorkerSettings, is_carrier, usual_backend
from polypool.observe.fitness import lacks
from polypool.pools.crew import Crew
from polypool.worker.backoff import until_open
from polypool.worker.control import Control
from polypool.worker.shift import Shift

logger = logging.getLogger("polypool.worker")


class Worker:
    """Takes messages from one engine and runs them in pools of child processes until it is told to stop.

    `engine` replaces the one that the app names, for who holds it already.
    """

    def __init__(self, settings: WorkerSettings, engine: Engine | None = None) -> None:
        self.name = settings.name or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self.control = Control()
        self._settings = settings
        self._engine = engine
        self._crew = Crew(target=settings.target, directory=settings.directory)
        self._shift: Shift | None = None

    async def run(self) -> int:
        """Work until a signal or `control.stop()`; 0 when everything held was settled or given back, else 1.

        ConfigurationError when the app or a pool cannot start, EngineError when the engine will not do; nothing was
        taken then.
        """
        self.control.listen()
        try:
            if await self.control.unless_stopping(self._start()):
                await self._obey()
            return 0 if await self._leave() else 1
        finally:
            await self._crew.stop()
            if self._engine is not None:
                await self._engine.broker.close()
            self.control.forget()

    async def _start(self) -> None:
        manifest = await self._crew.start()
        engine = self._engine or self._engine_of(manifest)
        _refuse_what_it_lacks(manifest, engine)
        await (engine.broker.open() if self._settings.once else until_open("reach the engine", engine.broker.open))
        self._engine = engine
        self._shift = Shift(self._settings, self.name, engine, self._crew, self.control.stop)
        await self._shift.start(manifest)
        logger.info("%s is ready: %s", self.name, self._shift.describe())

    def _engine_of(self, manifest: Manifest) -> Engine:
        """The app's, unless the command line names another."""
        broker = self._settings.broker or manifest.broker
        usual = manifest.backend if broker == manifest.broker or is_carrier(broker) else None
        return open_engine(broker, backend=self._settings.backend or usual or usual_backend(broker))

    async def _obey(self) -> None:
        """Wait for words: roll the children as often as asked, return at the first one to stop."""
        while await self.control.next_word() == "roll":
            if self._shift is None:
                return
            try:
                await self._shift.roll(await self._crew.reload())
            except ConfigurationError as error:
                logger.error("the new code cannot be loaded, the old one stays: %s", error)
            else:
                logger.info("new children run the new code: %s", self._shift.describe())

    async def _leave(self) -> bool:
        if self._shift is None:
            return True
        hurrying = asyncio.ensure_future(self._hurry(self._shift))
        try:
            return await self._shift.leave()
        finally:
            hurrying.cancel()

    async def _hurry(self, shift: Shift) -> None:
        await self.control.is_hurried.wait()
        logger.info("told twice: giving back what runs")
        await shift.hurry()


def _refuse_what_it_lacks(manifest: Manifest, engine: Engine) -> None:
    for lack in lacks(manifest, engine.broker.traits):
        raise TraitMissing(f"{lack.what}: {lack.found}; {lack.change}")
