"""Figures of this checkout on this machine: one module a figure, `python -m bench NAME` runs it."""
