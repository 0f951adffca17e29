"""Plots of a load test: throughput, what is in flight, 429s and memory over time, as a PNG and on a page of its own.

Matplotlib makes both, the page's pictures as SVG within it: one library, and a page that needs no network.
"""

import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench.reading import CannotMeasure
from bench.scan.figures import Course
from bench.scan.plan import MINUTE_S, REQUESTS_A_CHAIN, Plan

WINDOW_S = 3.0
"""Over which throughput is told."""
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>The scan pipeline under load</title>
<style>body{{font-family:sans-serif;max-width:72rem;margin:2rem auto}}svg{{max-width:100%;height:auto}}
pre{{overflow-x:auto;line-height:1.15}}</style>
<h1>The scan pipeline under load</h1>
<p>{said}</p>
{pictures}
<pre>{tables}</pre>
</html>
"""


class Curve(NamedTuple):
    """One line in each panel: who, and all that was seen."""

    name: str
    plan: Plan
    course: Course


def write(folder: Path, said: str, curves: Sequence[Curve], tables: str) -> list[Path]:
    """One picture for each number of users; the files that were written."""
    folder.mkdir(parents=True, exist_ok=True)
    written, pictures = [], []
    for users in dict.fromkeys(curve.plan.users for curve in curves):
        figure = _drawn(users, [curve for curve in curves if curve.plan.users == users])
        written.append(folder / f"scan-{users}.png")
        figure.savefig(written[-1], dpi=110)
        svg = io.StringIO()
        figure.savefig(svg, format="svg")
        pictures.append(svg.getvalue()[svg.getvalue().index("<svg") :])
    written.append(folder / "scan.html")
    page = PAGE.format(said=html.escape(said), pictures="\n".join(pictures), tables=html.escape(tables))
    written[-1].write_text(page, encoding="utf-8")
    return written


def check() -> None:
    """CannotMeasure where Matplotlib is not installed: said before anything runs for minutes."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise CannotMeasure("--out needs Matplotlib: pip install 'polypool[bench]'") from None


def _drawn(users: int, curves: Sequence[Curve]) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.5), layout="constrained")
    plan = curves[0].plan
    figure.suptitle(f"{users:,} users, {plan.scale:g} × real time, {plan.requests_per_minute:,} requests a minute")
    (rate, flight), (refused, memory) = figure.subplots(2, 2, sharex=True)
    for curve in curves:
        samples = curve.course.samples
        times = [sample.at - curve.course.joined_from for sample in samples]
        rate.plot(*throughput(curve), label=curve.name)
        flight.plot(times, [sample.in_flight for sample in samples], label=curve.name)
        refused.plot(times, [sample.refused for sample in samples], label=curve.name)
        memory.plot(times, [sample.memory_mb for sample in samples], label=curve.name)
        if curve.course.halved is not None:
            rate.axvline(curve.course.halved - curve.course.joined_from, color="grey", linewidth=0.8)
    rate.axhline(plan.limit / plan.scale * MINUTE_S, color="black", linestyle=":", label="the provider's limit")
    rate.axvline(plan.warm_s, color="grey", linewidth=0.8, linestyle=":")
    titles = (
        "chains a minute, by what the provider let in",
        "requests in flight at the provider",
        "429s so far",
        "memory of the workers, MB PSS",
    )
    for panel, title in zip((rate, flight, refused, memory), titles, strict=True):
        panel.set_title(title, fontsize=10)
        panel.set_ylim(bottom=0)
        panel.grid(alpha=0.3)
        panel.legend(fontsize=7)
    for panel in (refused, memory):
        panel.set_xlabel("real seconds since the first user came")
    return figure


def throughput(curve: Curve) -> tuple[list[float], list[float]]:
    """Real seconds, and chains a published minute over the window that ends there."""
    samples, times, rates, first = curve.course.samples, [], [], 0
    for sample in samples:
        while sample.at - samples[first].at > WINDOW_S:
            first += 1
        elapsed = sample.at - samples[first].at
        if elapsed >= WINDOW_S / 2:
            a_second = (sample.requests - samples[first].requests) / elapsed / REQUESTS_A_CHAIN
            times.append(sample.at - curve.course.joined_from)
            rates.append(a_second / curve.plan.scale * MINUTE_S)
    return times, rates
