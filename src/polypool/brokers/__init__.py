"""Edges: the engines messages wait in. `open` chooses one by URL, `answer` serves an Ask against one."""
