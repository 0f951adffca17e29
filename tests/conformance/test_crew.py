"""The crew: how an app is loaded, reloaded and lost, and what its processes share and leave behind."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from polypool.core.error import ConfigurationError, MissingExtra
from polypool.core.outcome import Deferred, Done
from polypool.core.settings import PoolSpec
from polypool.pools.crew import Crew
from polypool.pools.pool import Limits
from tests.conformance.pool_seen import GREENLETS, HERE, KINDS, PATIENCE, Bench, Seen, spec, until


@asynccontextmanager
async def crew_of(target: str = "crew_app:app", directory: str | Path = HERE) -> AsyncIterator[Crew]:
    crew = Crew(target, str(directory))
    await crew.start()
    try:
        yield crew
    finally:
        await crew.stop()


def pool_of(crew: Crew, spec: PoolSpec, **limits: Any) -> Bench:
    seen = Seen()
    return Bench(crew.pool(spec, seen, Limits(**limits)), seen)


@pytest.mark.parametrize(
    ("module", "target", "words"),
    [
        ("", "missing:app", "there is no module 'missing' in"),
        ("import nowhere_to_be_found", "given:app", "No module named 'nowhere_to_be_found'"),
        ("from crew_app import app as shop", "given:app", "has no 'app'; it has given:shop;"),
        ("app = 3", "given:app", "given:app is a int, not a Polypool app"),
        ("1 / 0", "given:app", "ZeroDivisionError: division by zero"),
        ("def broken(:", "given:app", "SyntaxError"),
        ("import sys; sys.exit(7)", "given:app", "called sys.exit(7)"),
        ("import os; os._exit(7)", "given:app", "ended before the import was over"),
        ("", ":app", "write MODULE:APP"),
    ],
)
async def test_an_app_that_cannot_be_loaded_is_explained(
    tmp_path: Path, module: str, target: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", HERE)
    (tmp_path / "given.py").write_text(module)
    crew = Crew(target, str(tmp_path))
    with pytest.raises(ConfigurationError) as caught:
        await crew.start()
    assert words in str(caught.value)
    assert "polypool/pools" not in str(caught.value)
    await crew.stop()


async def test_the_manifest_tells_what_the_app_holds() -> None:
    crew = Crew("crew_app:app", HERE)
    manifest = await crew.start()
    await crew.stop()
    assert manifest.app == "crew_app:app"
    assert {"add", "add_async"} <= {task.name for task in manifest.tasks}


async def test_a_greenlet_pool_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    async with crew_of() as crew:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        with pytest.raises(MissingExtra, match=r"pip install 'polypool\[gevent\]'"):
            crew.pool(spec("gevent"), Seen())


async def test_new_code_is_run_by_new_children_and_old_ones_end_their_calls(tmp_path: Path) -> None:
    module = tmp_path / "rolling.py"
    source = "from crew_app import app\nimport crew_app\n@app.task()\ndef version():\n    return {}\n"
    sys_path = f"import sys; sys.path.append({HERE!r})\n"
    module.write_text(sys_path + source.format(1))
    async with crew_of("rolling:app", tmp_path) as crew:
        bench = pool_of(crew, spec("threads"))
        assert await bench.value("version") == 1
        note, release = tmp_path / "note", tmp_path / "release"
        running = bench.give("holds", str(note), str(release))
        await until(note.exists)
        (old,) = bench.pool.pids()
        module.write_text(sys_path + source.format(2) + "# longer, whatever the clock of the file system\n")
        await crew.reload()
        bench.pool.roll(600)
        ends = time.monotonic() + PATIENCE
        while await bench.value("version") == 1:
            assert time.monotonic() < ends, "the new code is not run"
        assert running not in bench.seen.outcomes
        release.touch()
        (outcome,) = await bench.ended(running)
        assert isinstance(outcome, Done)
        await until(lambda: old not in bench.pool.pids())
        await bench.pool.stop(0)


async def test_broken_new_code_leaves_the_old_children_at_work(tmp_path: Path) -> None:
    module = tmp_path / "breaking.py"
    module.write_text(f"import sys; sys.path.append({HERE!r})\nfrom crew_app import app\n")
    async with crew_of("breaking:app", tmp_path) as crew:
        bench = pool_of(crew, spec("solo"))
        await bench.pool.ready(PATIENCE)
        module.write_text("def broken(:  # and longer than what was here before, whatever the clock says .....\n")
        with pytest.raises(ConfigurationError, match="SyntaxError"):
            await crew.reload()
        assert await bench.value("add", 1, 1) == 2
        await bench.pool.stop(0)


LIFESPAN = """
import sys; sys.path.append({here!r})
from contextlib import asynccontextmanager, contextmanager
from crew_app import PlainApp, call
app = PlainApp()

@{decorator}
{colour} lifespan(app):
    {body}
    yield "opened"
    open({note!r}, "a").write("closed\\n")

app.lifespan = lifespan

@app.task()
def state():
    return call().state
"""


@pytest.mark.parametrize("kind", KINDS)
async def test_an_async_lifespan_is_entered_and_left_wherever_a_loop_can_run(kind: str, tmp_path: Path) -> None:
    note = tmp_path / "note"
    source = LIFESPAN.format(
        here=HERE, decorator="asynccontextmanager", colour="async def", body="pass", note=str(note)
    )
    (tmp_path / "spanned.py").write_text(source)
    async with crew_of("spanned:app", tmp_path) as crew:
        bench = pool_of(crew, spec(kind))
        if kind in GREENLETS:
            with pytest.raises(ConfigurationError, match="which a process of greenlets cannot enter"):
                await bench.pool.ready(PATIENCE)
        else:
            await bench.pool.ready(PATIENCE)
            assert await bench.value("state") == "opened"
        await bench.pool.stop(5)
        assert kind in GREENLETS or note.read_text() == "closed\n"


async def test_a_lifespan_that_raises_is_told_with_its_traceback_and_tried_again_with_pauses(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    body = f"open({str(tmp_path / 'tries')!r}, 'a').write('.'); 1 / 0"
    source = LIFESPAN.format(here=HERE, decorator="contextmanager", colour="def", body=body, note="")
    (tmp_path / "spanned.py").write_text(source)
    async with crew_of("spanned:app", tmp_path) as crew:
        bench = pool_of(crew, spec("solo"))
        with pytest.raises(ConfigurationError, match="ZeroDivisionError"):
            await bench.pool.ready(PATIENCE)
        begun = time.monotonic()
        tries = tmp_path / "tries"
        await until(lambda: len(tries.read_text()) >= 4)
        assert time.monotonic() - begun > 0.4
        assert len([record for record in caplog.records if "cannot start" in record.message]) == 1
        assert bench.pool.free() == 0
        await bench.pool.stop(1)


async def test_forked_children_share_what_importing_the_app_has_loaded() -> None:
    async with crew_of() as crew:
        bench = pool_of(crew, PoolSpec("prefork", 4, 1))
        await until(lambda: bench.pool.free() == 4)
        ids = [bench.give("who") for _ in range(40)]
        await bench.ended(*ids)
        memory = await bench.pool.memory()
        assert memory is not None
        # The app holds 30 MB of random bytes.
        assert memory / 4 < 20 * 1024 * 1024
        await bench.pool.stop(0)


async def test_a_template_lost_before_its_first_child_was_ready_is_no_reason_to_give_up() -> None:
    async with crew_of() as crew:
        template = crew.template
        assert template is not None
        assert template.pid is not None
        os.kill(template.pid, signal.SIGKILL)
        bench = pool_of(crew, spec("asyncio"))
        await bench.pool.ready(PATIENCE)
        assert crew.template is not template
        await bench.pool.stop(0)


async def test_a_lost_template_is_replaced_and_its_childrens_calls_are_ended() -> None:
    async with crew_of() as crew:
        bench = pool_of(crew, spec("threads"))
        await bench.pool.ready(PATIENCE)
        template = crew.template
        assert template is not None
        assert template.pid is not None
        (child,) = bench.pool.pids()
        running = bench.give("sleep", 600.0)
        await until(lambda: bench.pool.report().running)
        os.kill(template.pid, signal.SIGKILL)
        await bench.ended(running)
        await until(lambda: bench.pool.free() > 0)
        assert await bench.value("add", 1, 1) == 2
        assert child not in bench.pool.pids()
        await until(lambda: not psutil.pid_exists(child))
        await bench.pool.stop(0)


SUPERVISOR = """
import asyncio, sys
sys.path.insert(0, {root!r})
from tests.conformance.pool_seen import PATIENCE, Bench, Seen, spec
from polypool.pools.crew import Crew

async def main():
    crew = Crew("crew_app:app", {here!r})
    await crew.start()
    pids = [crew.template.pid]
    for kind in {kinds!r}:
        seen = Seen()
        bench = Bench(crew.pool(spec(kind), seen), seen)
        await bench.pool.ready(PATIENCE)
        bench.give("stubborn", 600.0)
        pids += bench.pool.pids()
    print(*pids, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def test_no_process_outlives_a_supervisor_that_was_killed() -> None:
    root = str(Path(HERE).parent.parent)
    code = textwrap.dedent(SUPERVISOR).format(root=root, here=HERE, kinds=KINDS)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = [int(pid) for pid in process.stdout.readline().split()]
        process.kill()
    assert len(pids) == 7
    ends = time.monotonic() + PATIENCE
    while any(psutil.pid_exists(pid) for pid in pids):
        assert time.monotonic() < ends, "a child lives on"
        time.sleep(0.01)


async def test_many_pools_can_be_opened_and_stopped_without_leaving_descriptors() -> None:
    async with crew_of() as crew:
        await pool_of(crew, spec("prefork", children=3)).pool.stop(0)
        before = psutil.Process().num_fds()
        for _ in range(5):
            bench = pool_of(crew, spec("prefork", children=3))
            await bench.pool.ready(PATIENCE)
            await bench.pool.stop(0)
        assert psutil.Process().num_fds() == before


async def test_a_second_stop_with_less_grace_shortens_the_first() -> None:
    async with crew_of() as crew:
        bench = pool_of(crew, spec("threads"))
        await bench.pool.ready(PATIENCE)
        id = bench.give("sleep", 600.0)
        await until(lambda: bench.pool.report().running)
        patient = asyncio.ensure_future(bench.pool.stop(600))
        await asyncio.sleep(0)
        await bench.pool.stop(0)
        await asyncio.wait_for(patient, PATIENCE)
        assert bench.seen.outcomes[id] == Deferred()
