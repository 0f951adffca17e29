"""What was published for this pipeline on Celery, with a real provider at its first tier, 2 virtual CPUs and 4 GB."""

from typing import NamedTuple


class Published(NamedTuple):
    """Chains a minute, seconds; None where it was not told."""

    engine: str
    users: int
    chains_per_minute: float
    success: float
    mean_s: float | None
    p95_s: float | None
    refused: int | None


ROWS = (
    Published("Celery prefork, 3 × 8", 100, 1.94, 1.0, 41.65, None, None),
    Published("Celery gevent, Redis Streams", 250, 417.6, 0.9994, None, 40.5, None),
    Published("Celery gevent, Redis Streams", 300, 402.0, 0.9994, None, 48.5, None),
    Published("a later stack, twice the LLM", 500, 367.9, 1.0, 59.2, 83.3, None),
    Published("a later stack, twice the LLM", 600, 358.6, 0.997, None, None, None),
    Published("a later stack, twice the LLM", 1_000, 301.1, 0.925, None, 175.4, 1_017),
)


def beside(users: int) -> Published:
    """The row whose users are the nearest."""
    return min(ROWS, key=lambda row: abs(row.users - users))
