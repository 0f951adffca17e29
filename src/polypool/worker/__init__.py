"""Loops: take, execute, settle, keep, control. They wait and repeat; none of them ever runs user code."""
