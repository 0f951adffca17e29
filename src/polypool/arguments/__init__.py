"""A task's parameters: what is encoded where it is sent, and typed again where it is used."""
