"""Pools: calls run in child processes, under a supervisor that never imports the user's code.

supervisor's side   crew (one app's processes) → pool (children of one kind) → child_link (one child)
both sides          wire (frames over a socket), page (a few numbers that survive a crash)
child's side        child/ (the program), executors/ (how calls share the process)
"""
