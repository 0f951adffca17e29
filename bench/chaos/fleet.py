"""The workers and producers of a run: real processes, of this release and of an older one."""

import os
import subprocess
import sys
import tarfile
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from bench.chaos.app import BROKER, SOURCE, WORKER
from bench.chaos.history import FOLDER
from bench.reading import CannotMeasure
from bench.stand import ROOT, WorkerProcess

TARGET = "bench.chaos.app:app"
OPTIONS = ("--pool", "asyncio=50", "--pool", "threads=8", "--pool", "prefork=2", "--grace", "10")
THIS = ROOT / "src"


def source_of(release: str, folder: Path) -> Path:
    """The `src` of a path or a commit of this repository, unpacked into a folder."""
    path = Path(release)
    if (path / "polypool").is_dir() or (path / "src" / "polypool").is_dir():
        return (path if (path / "polypool").is_dir() else path / "src").resolve()
    packed = subprocess.run(["git", "archive", release, "src"], cwd=ROOT, capture_output=True, check=False)
    if packed.returncode:
        raise CannotMeasure(f"no folder and no commit is called {release!r}: {packed.stderr.decode().strip()}")
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src"


def has_commit(release: str) -> bool:
    found = subprocess.run(
        ["git", "cat-file", "-e", f"{release}^{{commit}}"], cwd=ROOT, capture_output=True, check=False
    )
    return found.returncode == 0


@dataclass
class Post:
    """A place that one worker at a time fills. Each of its lives has a name of its own in the history (`life`), not
    always in the engine."""

    number: int
    url: str
    source: Path = THIS
    lives: int = 0
    name: str = ""
    worker: WorkerProcess | None = None
    is_busy: bool = False
    """Something is being done to it; it is to be left alone until that is over."""

    @property
    def life(self) -> str:
        return f"{self.number}.{self.lives}"


@dataclass
class Fleet:
    """Starts, and in the end stops, everything."""

    folder: Path
    lease_s: float
    posts: list[Post]
    backend: str | None = None
    producers: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    _started: list[WorkerProcess] = field(default_factory=list)

    @property
    def history(self) -> Path:
        return self.folder / "history"

    def log_of(self, life: str) -> Path:
        return self.folder / f"worker-{life}.log"

    def start(self, post: Post, name: str | None = None) -> None:
        """A worker on this post: a new one, or under the name that the last one had."""
        post.lives += 1
        post.name = name or f"chaos-{post.life}"
        command = [sys.executable, "-m", "polypool.cli.main", "worker", TARGET, *OPTIONS]
        command += ["--heartbeat", f"{self.lease_s:g}", "--name", post.name]
        environment = {**self._environment(post.source, post.url), WORKER: post.life}
        post.worker = WorkerProcess(command, environment, self.log_of(post.life))
        self._started.append(post.worker)

    def produce(self, number: int, url: str, source: Path, words: list[str]) -> "subprocess.Popen[bytes]":
        """A producer; `words` are the rest of its command line."""
        log = self.folder / f"producer-{number}.log"
        with log.open("ab") as output:
            command = [sys.executable, "-m", "bench.chaos.send", str(self.history), str(number), *words]
            producer = subprocess.Popen(
                command, cwd=ROOT, env=self._environment(source, url), stdin=subprocess.DEVNULL, stdout=output,
                stderr=output,
            )  # fmt: skip
        self.producers.append(producer)
        return producer

    def stop(self) -> None:
        """End what still runs, in order or by force."""
        for producer in self.producers:
            with suppress(ProcessLookupError):
                producer.kill()
            producer.wait()
        for worker in self._started:
            worker.stop()

    def _environment(self, source: Path, url: str) -> dict[str, str]:
        paths = [str(source), str(ROOT)]
        beside = {"POLYPOOL_BACKEND": self.backend} if self.backend is not None else {}
        return {
            **os.environ,
            **beside,
            BROKER: url,
            SOURCE: str(source),
            FOLDER: str(self.history),
            "PYTHONPATH": os.pathsep.join(paths),
        }
