"""Workflows as values: their shape, what they are sent as, and what became of them. Nothing here sends or waits."""
