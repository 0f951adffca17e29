"""Sending many: in batches, in chunks, and no faster than they end where that is wished."""
