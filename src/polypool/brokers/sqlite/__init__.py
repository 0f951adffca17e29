"""The engine in one file: SQLite in WAL mode, shared by any number of processes of one machine."""
