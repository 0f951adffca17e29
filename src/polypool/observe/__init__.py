"""What the measurements say: where a task belongs, and what to change. Pure; shown by the command line."""
