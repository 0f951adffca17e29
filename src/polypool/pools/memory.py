"""Memory: what processes really take, shared pages counted in parts (PSS)."""

from collections.abc import Iterable


def pss(pids: Iterable[int]) -> int | None:
    """Bytes of all these processes together; those that are gone count nothing. None where the system does not say."""
    sizes = [size for pid in pids if (size := _pss(pid)) is not None]
    return sum(sizes) if sizes else None


def _pss(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as rollup:
            for line in rollup:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        return None
    return None
