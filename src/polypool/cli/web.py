"""polypool web: serve an app's public tasks over HTTP."""

import logging
from pathlib import Path
from typing import Any

import click

from polypool.cli.engine import engine_named
from polypool.cli.exits import complain
from polypool.cli.given import size
from polypool.cli.locate import load
from polypool.core.error import ConfigurationError, EngineUnreachable

LOG_FORMAT = "%(asctime)s %(levelname)-7s %(message)s"
LEVELS = ("debug", "info", "warning", "error")


@click.command(short_help="serve an app's public tasks over HTTP")
@click.argument("target", metavar="MODULE:APP")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes a free one.")
@click.option(
    "--token",
    "tokens",
    multiple=True,
    envvar="POLYPOOL_WEB_TOKENS",
    metavar="TOKEN",
    help="Let in who shows it; may be given several times. Better in POLYPOOL_WEB_TOKENS, with spaces between: others "
    "on this machine can read command lines.",
)
@click.option("--no-token", "is_open", is_flag=True, help="Let in everybody who can reach --host.")
@click.option(
    "--origin", "origins", multiple=True, metavar="URL", help="Sites whose pages may call it; none otherwise."
)
@click.option("--rate", metavar="N/s|m|h", help="Requests of each token, or without tokens of each address.")
@click.option("--max-body", "body_bytes", type=size, metavar="SIZE", help="Largest body.  [default: 1M]")
@click.option("--max-wait", "longest_wait", type=click.FloatRange(min=0), metavar="S", help="Most of ?wait=.")
@click.option("--ping", type=click.FloatRange(min=0, min_open=True), metavar="S", help="Silence before a ping.")
@click.option("--grace", type=click.FloatRange(min=0), metavar="S", help="Seconds that streams have to end at a stop.")
@click.option("--broker", metavar="URL", help="Send to this engine instead of the app's own.")
@click.option("--backend", metavar="URL", help="Beside an amqp:// broker: the engine that keeps states and results.")
@click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True)
def web(target: str, host: str, port: int, log_level: str, **given: Any) -> None:
    """Serve the tasks of an app that are marked @app.task(public=True), until told to stop.

    /docs shows what there is. TERM or Ctrl-C ends open streams in order; their watchers come again to whoever serves
    next, and miss nothing.
    """
    app = load(target, Path.cwd())
    app.broker, app.backend = engine_named(given.pop("broker"), given.pop("backend"), app.broker, app.backend)
    # Here and not above: `--help` needs no web libraries.
    import polypool.web  # noqa: F401 - says what is missing
    from polypool.rest.settings import settings_of
    from polypool.web.serve import is_loopback, listen, serve

    is_open, origins = given.pop("is_open"), given.pop("origins")
    settings = settings_of({name: value for name, value in given.items() if value is not None})
    if not settings.tokens and not is_open and not is_loopback(host):
        raise ConfigurationError(
            f"{host} can be reached by others, and no token is named\n"
            "Set POLYPOOL_WEB_TOKENS, or say --no-token if everybody may send."
        )
    logging.basicConfig(level=log_level.upper(), format=LOG_FORMAT)
    with listen(host, port) as sock:
        where = f"http://{f'[{host}]' if ':' in host else host}:{sock.getsockname()[1]}"
        try:
            app.open()
        except EngineUnreachable as error:
            complain(f"{error}\nUntil it is there requests are answered with 503.")
        try:
            serve(app, settings, origins, sock, lambda: click.echo(f"polypool web: {where}/docs"))
        finally:
            app.close()
