"""Which engine a command looks at, and opening it for as long as the command needs it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from polypool.cli.locate import load
from polypool.core.error import ConfigurationError, EngineUnreachable
from polypool.core.manifest import Manifest
from polypool.core.port import Engine
from polypool.core.settings import is_carrier, usual_backend, without_password

VARIABLE = "POLYPOOL_BROKER"
USUAL = Path("polypool.db")
"""Looked at when nothing is said: what `sqlite:///polypool.db` keeps in this directory."""


class Where(msgspec.Struct, frozen=True):
    """What opens an engine."""

    url: str
    backend: str | None = None

    @property
    def shown(self) -> str:
        """The URL as it may be shown."""
        return without_password(self.url)


def engine_named(broker: str | None, backend: str | None, of_app: Any, backend_of_app: str | None) -> tuple[Any, Any]:
    """Broker and backend: as given on the command line, else the app's."""
    if broker is None or broker == of_app:
        return of_app, backend or backend_of_app
    return broker, backend or (backend_of_app if is_carrier(broker) else None) or usual_backend(broker)


def where(broker: str | None, app: str | None, backend: str | None = None) -> Where:
    """The engine: as given, else that of the app given, of the environment, or the usual file."""
    if app:
        manifest: Manifest = load(app, Path.cwd()).manifest()
        return Where(*engine_named(broker, backend, manifest.broker, manifest.backend))
    named = broker or os.environ.get(VARIABLE)
    if named:
        return Where(named, backend or usual_backend(named))
    if USUAL.exists():
        return Where(f"sqlite:///{USUAL}", backend)
    raise ConfigurationError(
        "which engine? nothing names one\n"
        "Say --broker URL (such as sqlite:///scan.db), or --app MODULE:APP, "
        f"or set {VARIABLE}, or stand in the directory that holds {USUAL}."
    )


@asynccontextmanager
async def opened(where: Where, creates: bool = False) -> AsyncIterator[Engine]:
    """The engine, open. Looking never creates a store: EngineUnreachable where there is none, unless `creates`."""
    from polypool.brokers.open import open_engine

    if not creates:
        _expect_store(where.backend or where.url)
    engine = open_engine(where.url, backend=where.backend)
    await engine.broker.open()
    try:
        yield engine
    finally:
        await engine.broker.close()


def _expect_store(url: str) -> None:
    scheme, _, rest = url.partition("://")
    if scheme == "memory":
        raise ConfigurationError(f"{url} lives inside one process; nobody else can look at it. Use sqlite:///FILE")
    path = Path(rest.removeprefix("/").partition("?")[0])
    if scheme == "sqlite" and not path.exists():
        raise EngineUnreachable(
            f"there is no {path.resolve()} yet\n"
            "The first task sent, or a worker, makes it. Is this the right directory?"
        )
