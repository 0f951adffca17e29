"""What a tree of processes uses, read from /proc: memory as PSS, CPU time."""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit

TICKS = os.sysconf("SC_CLK_TCK")
MB = 1_000_000
PROC = Path("/proc")
LISTENS = "0A"
"""A socket's state in /proc/net/tcp."""


def tree(root: int) -> list[int]:
    """A process and all below it, the root first."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, ())
    return found


def pss(root: int) -> float:
    """Memory of a tree in MB (10⁶ bytes): private pages, and shared ones divided by how many share them."""
    total = 0
    for pid in tree(root):
        try:
            rollup = (PROC / str(pid) / "smaps_rollup").read_text(encoding="ascii")
        except OSError:
            continue  # it ended meanwhile
        total += sum(int(kib) for kib in re.findall(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE))
    return total * 1024 / MB


def largest_rss() -> float:
    """Megabytes of memory that this process had at its largest. `ru_maxrss` would count what its parent had when it
    started this one."""
    status = Path("/proc/self/status").read_text()
    return float(status.partition("VmHWM:")[2].split()[0]) * 1024 / MB


def cpu(pid: int) -> float:
    """Seconds of CPU that one process used, all of its threads, in user and kernel mode; to the kernel's tick."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS if fields else 0.0


def cpu_precise(pid: int) -> float:
    """The same to the nanosecond, where the kernel counts so; of the threads that live now."""
    total = 0
    for path in (PROC / str(pid) / "task").glob("*/schedstat"):
        try:
            total += int(path.read_text(encoding="ascii").split()[0])
        except OSError:
            continue  # it ended meanwhile
    return total / 1e9


def listening_on(url: str) -> int | None:
    """The process on this machine that serves a URL's port."""
    port = urlsplit(url).port
    inodes = set()
    for table in ("tcp", "tcp6"):
        lines = (PROC / "net" / table).read_text(encoding="ascii").splitlines()[1:]
        for fields in map(str.split, lines):
            if port is not None and fields[3] == LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if any(os.readlink(end) in inodes for end in (entry / "fd").iterdir()):
                return int(entry.name)
        except OSError:
            continue  # ended meanwhile, or somebody else's
    return None


def _stat(pid: int) -> list[str]:
    """The fields after the command's name, which may hold blanks and brackets; none for a process that is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
