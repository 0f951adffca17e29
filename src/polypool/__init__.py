"""polypool: a task queue in which one worker hosts every kind of execution pool."""
