"""The engine that lives in one process, and the specification every other engine is tested by."""

from polypool.brokers.memory.engine import MemoryEngine

__all__ = ["MemoryEngine"]
