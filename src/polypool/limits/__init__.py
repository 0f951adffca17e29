"""Limits: how often, and how many at a time. Rules as tasks declare them, and the gate before them."""
