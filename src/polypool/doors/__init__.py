"""Doors: ways into polypool from a framework that an app has already, each in a file that alone imports it."""
