"""polypool check: whether an app can start here, and what to do if not."""

import asyncio
from importlib.util import find_spec
from pathlib import Path

import click

from polypool.cli.documents import Checked, TaskChecked
from polypool.cli.engine import Where, engine_named, opened
from polypool.cli.exits import FAILED
from polypool.cli.locate import load
from polypool.cli.look import as_json, print_blocks
from polypool.cli.table import Block, Note, Row, Table, columns
from polypool.core.error import PolypoolError
from polypool.core.manifest import Manifest, TaskSpec
from polypool.core.port import Traits
from polypool.core.settings import without_password
from polypool.observe.fitness import Check, fitness
from polypool.observe.words import span

STYLES = {"ok": "green", "hint": "yellow", "wrong": "red"}


@click.command(short_help="whether an app can start here, and what to do if not")
@click.argument("target", metavar="MODULE:APP")
@click.option("--broker", metavar="URL", help="Check this engine instead of the app's own.")
@click.option("--backend", metavar="URL", help="Beside an amqp:// broker: check it with this engine behind it.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON, for scripts.")
def check(target: str, broker: str | None, backend: str | None, is_json: bool) -> int:
    """Import an app here and see whether its worker could start: tasks, packages, engine.

    Exits with 1 when something has to be done first.
    """
    manifest: Manifest = load(target, Path.cwd()).manifest()
    where = Where(*engine_named(broker, backend, manifest.broker, manifest.backend))
    engine, traits = asyncio.run(_reach(where))
    checks = [engine, *fitness(manifest, traits, lambda package: find_spec(package) is not None)]
    is_fit = all(each.verdict != "wrong" for each in checks)
    if is_json:
        click.echo(
            as_json(Checked(manifest.app, where.shown, is_fit, tuple(checks), tuple(map(_seen, manifest.tasks))))
        )
    else:
        print_blocks(_blocks(target, manifest, checks, is_fit))
    return 0 if is_fit else FAILED


async def _reach(where: Where) -> tuple[Check, Traits | None]:
    url = where.url
    if url.startswith("memory://"):
        change = "for a worker, Polypool(…, broker='sqlite:///tasks.db')"
        return Check("engine", "wrong", f"{url} lives inside one process, a worker cannot reach it", change), None
    try:
        async with opened(where, creates=True) as engine:
            return Check("engine", "ok", f"{without_password(url)} answers"), engine.broker.traits
    except PolypoolError as error:
        found, _, change = str(error).partition("\n")
        return Check("engine", "wrong", found, change), None


def _seen(spec: TaskSpec) -> TaskChecked:
    policy = spec.policy
    return TaskChecked(
        spec.name, spec.pool, spec.queue, spec.priority, spec.is_async, policy.timeout, policy.max_retries
    )


def _blocks(target: str, manifest: Manifest, checks: list[Check], is_fit: bool) -> list[Block]:
    tasks = Table(
        f"tasks of {manifest.app}",
        columns("task", "", "pool", "queue", ">priority", ">timeout", ">retries"),
        tuple(Row(_cells(spec)) for spec in manifest.tasks),
        empty="none",
    )
    marks = {"ok": "✓", "hint": "!", "wrong": "✗"}
    notes = [
        Note(
            f"{marks[each.verdict]} {each.what}: {each.found}" + (f"\n  → {each.change}" if each.change else ""),
            STYLES[each.verdict],
        )
        for each in checks
    ]
    end = (
        Note(f"Start it: polypool worker {target}", "bold")
        if is_fit
        else Note("It cannot start like this.", "bold red")
    )
    return [tasks, *notes, end]


def _cells(spec: TaskSpec) -> tuple[str, ...]:
    colour = "async def" if spec.is_async else "def"
    policy = spec.policy
    return (
        spec.name,
        colour,
        spec.pool,
        spec.queue,
        str(spec.priority),
        span(policy.timeout),
        str(policy.max_retries),
    )
