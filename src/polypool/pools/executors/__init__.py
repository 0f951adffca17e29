"""Executors: how calls share one child process. One file a kind; each satisfies `core.pool_port.Executor`."""
