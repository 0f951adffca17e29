"""The command line: one command a file, no logic. What is decided is decided in core and observe."""
