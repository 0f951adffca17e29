"""The demo: one command that starts everything, sends users' photos, and shows what one worker makes of it.

    python -m examples.scan.demo

It starts a stand-in for the LLM provider, the web API with its page and one worker, in a temporary folder and on free
ports, and sends more than the provider lets in: the worker's limits keep to what it allows. After about a minute, or at
Ctrl-C, all of it is gone again.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from examples.scan.figures import figures_of
from examples.scan.gauges import Allowance, Gauges
from examples.scan.live import Scene, show
from examples.scan.pools import ask_status, use_of_pools
from examples.scan.processes import Crew, ProcessEnded, Started, address_of
from examples.scan.tables import Report, print_report
from examples.scan.users import JOIN_PER_SECOND, Crowd, take_photos

POOLS = ("asyncio=1000", "threads=8", "prefork=2")
PYTHON = (sys.executable, "-m")
POLYPOOL = str(Path(sys.executable).with_name("polypool"))
NO_LIMITS = httpx.Limits(max_connections=None)
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> None:
    options = arguments().parse_args()
    console = Console()
    try:
        sys.exit(asyncio.run(run(options, console)))
    except ProcessEnded as error:
        console.print(str(error), style="red", markup=False, highlight=False)
        sys.exit(1)
    except asyncio.CancelledError:
        console.print("Stopped; everything that was started has ended.")
        sys.exit(128 + signal.SIGINT)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.scan.demo", description=__doc__.partition("\n")[0])
    parser.add_argument("--users", type=int, default=40, help="how many send photos (default 40)")
    parser.add_argument("--seconds", type=float, default=40, help="for how long they do (default 40)")
    parser.add_argument("--scale", type=float, default=10, help="how many times as fast time runs (default 10)")
    parser.add_argument("--rpm", type=int, default=100, help="the provider's requests a minute (default 100)")
    parser.add_argument("--tpm", type=int, default=500_000, help="its tokens a minute (default 500,000)")
    parser.add_argument("--keep", action="store_true", help="go on after the report, for the page, until Ctrl-C")
    return parser


async def run(options: argparse.Namespace, console: Console) -> int:
    """The whole demo; the exit code is 1 when a chain failed."""
    stop_at_signals(console)
    with tempfile.TemporaryDirectory(prefix="polypool-scan-") as folder:
        async with stage_set(options, Path(folder), console) as stage:
            console.print(f"Open {stage.page} and send a photo of your own.", style="bold", highlight=False)
            report = await perform(options, stage, console)
            if options.keep:
                print_report(report, console)
                console.print(f"\n{stage.page} goes on until Ctrl-C.", style="bold", highlight=False)
                await stage.crew.watch()
    print_report(report, console)
    failed = [chain.error for chain in stage.crowd.ended if not chain.is_good]
    for error in failed[:5]:
        console.print(f"A chain failed: {error}", style="red", markup=False, highlight=False)
    return 1 if failed or not report.figures.chains else 0


def stop_at_signals(console: Console) -> None:
    """Let the first signal cancel the demo, and none disturb the clearing up after that."""
    loop, running = asyncio.get_running_loop(), asyncio.current_task()
    assert running is not None

    def stop() -> None:
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, lambda: None)
        console.print("Stopping …")
        running.cancel()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop)


@dataclass(frozen=True)
class Stage:
    """All that runs while the demo does."""

    crew: Crew
    crowd: Crowd
    gauges: Gauges
    page: str


@asynccontextmanager
async def stage_set(options: argparse.Namespace, folder: Path, console: Console) -> AsyncIterator[Stage]:
    """Provider, API and worker, up and working: one photo has gone all the way through."""
    broker = f"sqlite:///{folder / 'scan.db'}"
    environment = {"SCAN_DIR": str(folder), "POLYPOOL_BROKER": broker, "TMPDIR": str(folder)}
    async with Crew(folder, environment) as crew, AsyncExitStack() as clients:
        console.print("Starting a stand-in LLM provider, the web API and one worker …")
        taking_photos = asyncio.create_task(asyncio.to_thread(take_photos))
        provider = await address_of(await start_provider(crew, options))
        crew.environment |= account_at(provider, options)
        worker = await start_worker(crew)
        api = await address_of(await crew.start("API", *PYTHON, "examples.scan.api", "--port", "0"))
        http = [
            await clients.enter_async_context(httpx.AsyncClient(base_url=url, timeout=None, limits=NO_LIMITS))
            for url in (api, provider.removesuffix("/v1"))
        ]
        takes = await taking_photos
        first = Crowd(http[0], takes)
        await beside(crew.watch(), work=first.send(takes[0]))
        if not first.ended[0].is_good:
            raise worker.ended(f"did not bring the first photo through ({first.ended[0].error})")
        yield Stage(crew, Crowd(http[0], takes), Gauges(worker.pid, http[1]), f"{api}/")


def account_at(provider: str, options: argparse.Namespace) -> dict[str, str]:
    """What the worker has to know of it: the address, and the limits that it keeps to."""
    limits = {"SCAN_RPM": options.rpm, "SCAN_TPM": options.tpm, "SCAN_MINUTE_S": 60 / options.scale}
    told = {name: str(value) for name, value in limits.items()}
    return {"OPENAI_BASE_URL": provider, "OPENAI_API_KEY": "none-needed", **told}


async def start_provider(crew: Crew, options: argparse.Namespace) -> Started:
    limits = ["--rpm", str(options.rpm), "--tpm", str(options.tpm)]
    return await crew.start(
        "provider", *PYTHON, "examples.provider", "--port", "0", "--scale", str(options.scale), *limits
    )


async def start_worker(crew: Crew) -> Started:
    pools = [word for pool in POOLS for word in ("--pool", pool)]
    return await crew.start(
        "worker", POLYPOOL, "worker", "examples.scan.app:app", "--grace", "2", "--log-level", "warning", *pools
    )


async def perform(options: argparse.Namespace, stage: Stage, console: Console) -> Report:
    """Let the users come, send and go, and sum up."""
    began = time.monotonic()
    all_there = began + min(options.users / JOIN_PER_SECOND, options.seconds / 2)
    scene = Scene(stage.crowd, stage.gauges, options.users, options.scale, began, options.seconds, stage.page)
    await beside(
        stage.crew.watch(),
        stage.gauges.keep_reading(),
        show(scene, console),
        work=stage.crowd.stay(options.users, options.seconds),
    )
    elapsed_s = time.monotonic() - began
    await stage.gauges.read()
    until = began + options.seconds
    figures = figures_of(stage.crowd.ended, all_there, until)
    status = await ask_status(POLYPOOL, stage.crew.environment)
    per_s = options.scale / 60
    allowed = Allowance(options.rpm * per_s, options.tpm * per_s)
    share = allowed.share_used(stage.gauges.readings, all_there, until)
    return Report(figures, stage.gauges, use_of_pools(status, elapsed_s), options.users, options.scale, share)


async def beside(*watching: Coroutine[Any, Any, object], work: Coroutine[Any, Any, object]) -> None:
    """Do some work; what watches it goes on meanwhile, and ends it by raising."""
    tasks = [asyncio.create_task(each) for each in (work, *watching)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


if __name__ == "__main__":
    main()
