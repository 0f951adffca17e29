"""Millions of ids: a CPU-heavy function over each, in chunks on processes, summed up by a chord, kept in a database."""
