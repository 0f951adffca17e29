"""For tests of code that uses polypool: run tasks in place, see what was sent, move the clock. No worker, no broker."""

from polypool.testing.place import Place, run_in_place
from polypool.testing.record import Captured, Sent, captured

__all__ = ["Captured", "Place", "Sent", "captured", "run_in_place"]
