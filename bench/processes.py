"""What a tree of processes uses, read from /proc: memory as PSS, CPU time."""

import os
import re
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
MB = 1_000_000
PROC = Path("/proc")


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


def cpu(pid: int) -> float:
    """Seconds of CPU that one process used, all of its threads, in user and kernel mode; to the kernel's tick."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS if fields else 0.0


def _stat(pid: int) -> list[str]:
    """The fields after the command's name, which may hold blanks and brackets; none for a process that is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return []
