"""Looking at an engine: reads a document, shows it once or again and again, as tables, text or JSON."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import click
import msgspec

from polypool.cli.engine import Where, opened, where
from polypool.cli.table import Block, drawn, plain
from polypool.core.port import Engine

T = TypeVar("T")
EVERY = 2.0
"""Seconds between two looks of `--watch`; workers report about as often."""


class Looking(msgspec.Struct, frozen=True):
    """What the options of a looking command said."""

    where: Where
    is_json: bool = False
    every: float | None = None
    """Seconds between two looks; None looks once."""

    @property
    def engine(self) -> str:
        """The URL as it may be shown."""
        return self.where.shown


def looking(takes_app: bool = True, can_watch: bool = True) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command the options of all that look at an engine; it gets them as one `Looking`, its first argument."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def wrapped(
            broker: str | None,
            backend: str | None,
            app: str | None,
            is_json: bool,
            target: str | None = None,
            watch: float | None = None,
            **rest: Any,
        ) -> Any:
            return command(Looking(where(broker, target or app, backend), is_json, watch), **rest)

        options = [
            click.option("--broker", metavar="URL", help="The engine, such as sqlite:///scan.db."),
            click.option("--backend", metavar="URL", help="Beside an amqp:// engine: the one that keeps its states."),
            click.option("--app", metavar="MODULE:APP", help="Or the app whose engine it is."),
            click.option("--json", "is_json", is_flag=True, help="Print JSON, for scripts."),
        ]
        if takes_app:
            options.append(click.argument("target", metavar="[MODULE:APP]", required=False))
        if can_watch:
            options.append(
                click.option(
                    "--watch",
                    type=click.FloatRange(min=0.1),
                    is_flag=False,
                    flag_value=EVERY,
                    metavar="[S]",
                    help=f"Look again every S seconds, {EVERY:g} unless told otherwise.",
                )
            )
        for option in reversed(options):
            wrapped = option(wrapped)
        return wrapped

    return decorate


def look(to: Looking, read: Callable[[Engine], Awaitable[T]], show: Callable[[T], Sequence[Block]]) -> T:
    """Read a document from the engine and show it, once or until interrupted. Returns the last one."""

    async def run() -> T:
        async with opened(to.where) as engine:
            if to.every is None:
                document = await read(engine)
                click.echo(as_json(document) if to.is_json else _once(show(document)))
                return document
            return await _again_and_again(to, lambda: read(engine), show)

    try:
        return asyncio.run(run())
    except KeyboardInterrupt:
        if to.every is None:
            raise
        raise click.exceptions.Exit(0) from None  # who watches has no other way to end it


def as_json(document: Any) -> str:
    """One line of JSON."""
    return msgspec.json.encode(document).decode()


def print_blocks(blocks: Sequence[Block]) -> None:
    """Show blocks once, the way this stdout wants them."""
    click.echo(_once(blocks))


def _once(blocks: Sequence[Block]) -> str:
    if not sys.stdout.isatty():
        return plain(blocks)
    from rich.console import Console

    console = Console()
    with console.capture() as captured:
        console.print(drawn(blocks))
    return captured.get().rstrip("\n")


async def _again_and_again(to: Looking, read: Callable[[], Awaitable[T]], show: Callable[[T], Sequence[Block]]) -> T:
    every = to.every or EVERY
    if to.is_json or not sys.stdout.isatty():
        while True:
            document = await read()
            click.echo(as_json(document) if to.is_json else f"{time.strftime('%H:%M:%S')}\n{plain(show(document))}\n")
            sys.stdout.flush()
            await asyncio.sleep(every)
    from rich.live import Live

    with Live(drawn(show(await read())), auto_refresh=False, screen=True, vertical_overflow="crop") as live:
        while True:
            await asyncio.sleep(every)
            live.update(drawn(show(await read())), refresh=True)
