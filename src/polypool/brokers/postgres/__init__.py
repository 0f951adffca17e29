"""The engine on a PostgreSQL server: any number of processes on any number of machines."""
