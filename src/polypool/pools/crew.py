"""Crew: all processes that run one app's code. The supervisor's door to the pools."""

import asyncio
import importlib.util
import logging
from collections.abc import Callable

from polypool.core.error import ConfigurationError, MissingExtra
from polypool.core.manifest import Manifest
from polypool.core.pool_port import PoolWatcher
from polypool.core.settings import PoolSpec
from polypool.pools.pool import ChildPool, Limits
from polypool.pools.template import Template

log = logging.getLogger("polypool.pools")

GREENLETS = ("gevent", "eventlet")


class Crew:
    """One app: the template that imported it, and the pools whose children it makes."""

    def __init__(self, target: str, directory: str = ".") -> None:
        self._target = target
        self._directory = directory
        self._template: Template | None = None
        self._older: list[Template] = []
        self._restart: asyncio.Task[None] | None = None

    @property
    def template(self) -> Template | None:
        """What makes new children now; None while a lost one is being replaced."""
        return self._template

    async def start(self) -> Manifest:
        """Import the app in a process of its own. ConfigurationError says why it cannot be."""
        template = Template(self._target, self._directory, self._lost)
        manifest = await template.start()
        self._template = template
        return manifest

    def pool(
        self,
        spec: PoolSpec,
        watcher: PoolWatcher,
        limits: Limits | None = None,
        on_free: Callable[[], None] | None = None,
    ) -> ChildPool:
        """Start a pool's children; `on_free` is called when one became ready. MissingExtra without its library."""
        if spec.kind in GREENLETS and importlib.util.find_spec(spec.kind) is None:
            raise MissingExtra(f"the {spec.kind} pool needs {spec.kind}: pip install 'polypool[{spec.kind}]'")
        pool = ChildPool(spec, watcher, limits or Limits(), lambda: self._template, on_free)
        pool.start()
        return pool

    async def reload(self) -> Manifest:
        """Import the app anew; children to come run the new code, `ChildPool.roll` exchanges the others."""
        former = self._template
        manifest = await self.start()
        if former is not None:
            former.retire()
            self._older.append(former)
        return manifest

    async def stop(self) -> None:
        """End the templates. Stop the pools first."""
        if self._restart is not None:
            self._restart.cancel()
        templates, self._older = [*self._older, *filter(None, [self._template])], []
        self._template = None
        for template in templates:
            await template.stop()

    def _lost(self, template: Template) -> None:
        if template is not self._template:
            return
        log.error("the template process died; starting another one")
        self._template = None
        self._older.append(template)
        self._restart = asyncio.get_running_loop().create_task(self._start_again())

    async def _start_again(self) -> None:
        pause = 0.1
        while True:
            try:
                await self.start()
                return
            except ConfigurationError as error:
                log.error("cannot start children: %s", error)
            except OSError as error:
                log.error("cannot start a process: %s; check the limits on processes and memory", error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 30.0)
