"""The example of a transaction runs, as its first lines say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_two_orders_are_shipped_and_the_refused_one_leaves_nothing() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "examples.orders"], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.splitlines() == [
        "refused: we have no unicorn; neither its row nor its task is there",
        "order 1: a lamp is on its way",
        "order 2: a chair is on its way",
        "2 orders shipped",
    ]
