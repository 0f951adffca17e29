"""Words: the values and decisions of polypool. Nothing here awaits, reads a clock or does I/O."""
