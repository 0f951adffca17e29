"""Show the demo's progress: a picture that moves on a terminal, a line now and then elsewhere."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from examples.scan.gauges import Gauges
from examples.scan.stages import STAGES
from examples.scan.users import Chain, Crowd

PER_SECOND = 4
LINE_EVERY_S = 2.0
ANSWERS_SHOWN = 4
BAR_WIDTH = 40


@dataclass(frozen=True)
class Scene:
    """What there is to show."""

    crowd: Crowd
    gauges: Gauges
    users: int
    scale: float
    started_at: float
    seconds: float
    page: str = ""

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self.started_at

    def in_stage(self) -> Counter[str]:
        """How many chains are in each stage now."""
        names = [*STAGES]
        places = (min(len(chain.stage_ended_at), len(names) - 1) for chain in self.crowd.under_way)
        return Counter(names[place] for place in places)

    def queue(self) -> int:
        """How many wait for their turn at the provider."""
        in_stage = self.in_stage()
        return max(0, in_stage["vision"] + in_stage["answer"] - self.gauges.in_flight)

    def summary(self) -> str:
        ended = self.crowd.ended
        failed = sum(not chain.is_good for chain in ended)
        last = sorted(chain.duration_s for chain in ended[-50:])
        median = f" · {last[len(last) // 2]:.2f} s each" if last else ""
        return f"{len(ended)} chains answered, {failed} failed{median}"

    def machinery(self) -> str:
        gauges = self.gauges
        return (
            f"worker {gauges.memory_bytes / 1e6:.0f} MB in {gauges.processes} processes · "
            f"provider {gauges.in_flight} requests open, {self.queue()} wait for their turn, {gauges.requests} so far, "
            f"{gauges.refused} × 429"
        )


async def show(scene: Scene, console: Console) -> None:
    """Until cancelled."""
    await (_show_moving(scene, console) if console.is_terminal else _print_lines(scene, console))


async def _show_moving(scene: Scene, console: Console) -> None:
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            live.update(picture(scene), refresh=True)
            await asyncio.sleep(1 / PER_SECOND)


async def _print_lines(scene: Scene, console: Console) -> None:
    while True:
        await asyncio.sleep(LINE_EVERY_S)
        stages = " ".join(f"{stage} {count}" for stage, count in scene.in_stage().items())
        line = f"{scene.elapsed_s:4.0f} s  {scene.summary()}  [{stages}]  {scene.machinery()}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def picture(scene: Scene) -> RenderableType:
    left = max(0.0, scene.seconds - scene.elapsed_s)
    time_left = f"{left:.0f} s to go" if left else "waiting for the last answers"
    title = f"{scene.users} users, one worker, time {scene.scale:g} times as fast · {time_left}"
    return Group(
        Text(title, style="bold"),
        Text(f"open {scene.page} and send a photo of your own", style="dim"),
        Text(),
        bars(scene.in_stage(), scene.users),
        Text(),
        Text(scene.summary()),
        Text(scene.machinery()),
        Text(),
        *[line_of(chain) for chain in scene.crowd.ended[-ANSWERS_SHOWN:]],
    )


def bars(in_stage: Counter[str], users: int) -> Table:
    table = Table.grid(padding=(0, 2))
    for stage, pool in STAGES.items():
        count = in_stage[stage]
        bar = "█" * round(BAR_WIDTH * count / max(1, users))
        table.add_row(stage, Text(pool, style="dim"), Text(f"{count:3}", justify="right"), Text(bar, style="green"))
    return table


def line_of(chain: Chain) -> Text:
    if chain.result is None:
        return Text(f"✗ {chain.photograph.item}: {chain.error}", style="red", no_wrap=True, overflow="ellipsis")
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{chain.result['item']} ", style="cyan")
    line.append(f"({chain.result['character']}) ", style="magenta")
    line.append(str(chain.result["answer"]))
    return line
