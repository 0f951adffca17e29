"""Which engine a command looks at, and opening it for as long as the command needs it."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from polypool.cli.locate import load
from polypool.core.error import ConfigurationError, EngineUnreachable
from polypool.core.port import Engine

VARIABLE = "POLYPOOL_BROKER"
USUAL = Path("polypool.db")
"""Looked at when nothing is said: what `sqlite:///polypool.db` keeps in this directory."""


def url_of(broker: str | None, app: str | None) -> str:
    """The engine's URL: as given, else that of the app given, of the environment, or the usual file's."""
    if broker:
        return broker
    if app:
        url: str = load(app, Path.cwd()).manifest().broker
        return url
    if named := os.environ.get(VARIABLE):
        return named
    if USUAL.exists():
        return f"sqlite:///{USUAL}"
    raise ConfigurationError(
        "which engine? nothing names one\n"
        "Say --broker URL (such as sqlite:///scan.db), or --app MODULE:APP, "
        f"or set {VARIABLE}, or stand in the directory that holds {USUAL}."
    )


@asynccontextmanager
async def opened(url: str, creates: bool = False) -> AsyncIterator[Engine]:
    """The engine, open. Looking never creates a store: EngineUnreachable where there is none, unless `creates`."""
    from polypool.brokers.open import open_engine

    if not creates:
        _expect_store(url)
    engine = open_engine(url)
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
