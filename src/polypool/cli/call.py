"""polypool call: send one task, and wait for its result."""

import json
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from polypool.cli.engine import engine_named
from polypool.cli.exits import FAILED, complain
from polypool.cli.given import OptionalNumbers
from polypool.cli.locate import load
from polypool.cli.look import as_json
from polypool.cli.result import FOREVER, pretty
from polypool.core.error import ConfigurationError, TaskError, TaskFailed


@click.command(cls=OptionalNumbers, short_help="send one task, and wait for its result")
@click.argument("target", metavar="MODULE:APP")
@click.argument("name", metavar="TASK")
@click.argument("arguments", nargs=-1, metavar="['[…]'] ['{…}']")
@click.option("--wait", type=float, is_flag=False, flag_value=FOREVER, metavar="[S]", help="Wait and print the result.")
@click.option("--queue", metavar="NAME", help="Into this queue instead of the task's own.")
@click.option("--priority", type=int, metavar="N", help="Higher goes first.")
@click.option("--countdown", type=float, metavar="S", help="Run it in so many seconds.")
@click.option("--expires", type=float, metavar="S", help="Do not begin it after so many seconds.")
@click.option("--timeout", type=float, metavar="S", help="Kill its process after so many seconds of running.")
@click.option("--max-retries", type=click.IntRange(min=0), metavar="N", help="Retry it so often at most.")
@click.option("--id", "task_id", metavar="ID", help="The task's id; sending the same id again is refused.")
@click.option("--broker", metavar="URL", help="Send to this engine instead of the app's own.")
@click.option("--backend", metavar="URL", help="Beside an amqp:// broker: the engine that keeps states and results.")
@click.option("--json", "is_json", is_flag=True, help="Print id and result as JSON on one line.")
def call(target: str, name: str, arguments: tuple[str, ...], wait: float | None, is_json: bool, **given: Any) -> int:
    """Send one task. ARGUMENTS are a JSON list of positional and a JSON object of named ones.

    TASK is the task's full name, or its last part where that is clear. Prints the id, or with --wait the result as
    JSON; exits with 1 when the task failed.
    """
    app = load(target, Path.cwd())
    # Nothing is opened before the first send.
    app.broker, app.backend = engine_named(given.pop("broker"), given.pop("backend"), app.broker, app.backend)
    task = named(name, app.tasks)
    args, kwargs = parsed(arguments)
    try:
        sent = task.apply_async(args, kwargs, **{key: value for key, value in given.items() if value is not None})
        return _report(sent, wait, is_json)
    finally:
        app.close()


def named(name: str, tasks: Any) -> Any:
    """The task of that name, or of that last part. ConfigurationError names the nearest."""
    if name in tasks:
        return tasks[name]
    ending = [full for full in tasks if full.rpartition(".")[2] == name]
    if len(ending) == 1:
        return tasks[ending[0]]
    if ending:
        raise ConfigurationError(f"{name!r} may be {' or '.join(sorted(ending))}; say the full name")
    near = get_close_matches(name, [*tasks, *(full.rpartition(".")[2] for full in tasks)], n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(sorted(tasks)) or 'none'}"
    raise ConfigurationError(f"the app has no task {name!r}; {hint}")


def parsed(arguments: tuple[str, ...]) -> tuple[list[Any], dict[str, Any]]:
    """A JSON list and a JSON object, each at most once, in any order."""
    found: dict[type, Any] = {}
    for text in arguments:
        try:
            value = json.loads(text)
        except ValueError:
            quoted = json.dumps([text])
            raise ConfigurationError(f"{text!r} is not JSON\nArguments are a JSON list in quotes: '{quoted}'") from None
        if type(value) not in (list, dict):
            raise ConfigurationError(f"{text} is no list or object\nPositional arguments are a JSON list: '[{text}]'")
        if type(value) in found:
            raise ConfigurationError("give one JSON list of positional arguments and one JSON object of named ones")
        found[type(value)] = value
    return found.get(list, []), found.get(dict, {})


def _report(sent: Any, wait: float | None, is_json: bool) -> int:
    if wait is None:
        click.echo(as_json({"id": sent.id}) if is_json else sent.id)
        return 0
    try:
        value = sent.get(timeout=None if wait == FOREVER else wait)
    except TaskError as error:
        _complain_of(sent.id, error, is_json)
        return FAILED
    except TimeoutError as error:
        complain(f"{error}\nIt goes on; wait for it with: polypool result {sent.id} --wait")
        return FAILED
    click.echo(as_json({"id": sent.id, "value": value}) if is_json else pretty(value))
    return 0


def _complain_of(id: str, error: TaskError, is_json: bool) -> None:
    kind = error.type if isinstance(error, TaskFailed) else type(error).__name__
    if is_json:
        click.echo(as_json({"id": id, "failure": {"type": kind, "message": str(error)}}))
    trace = f"\n{error.traceback.rstrip()}" if isinstance(error, TaskFailed) and error.traceback else ""
    complain(f"{error}{trace}")
