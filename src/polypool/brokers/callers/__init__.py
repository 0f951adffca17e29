"""The sender's own connections, of whatever driver: how to run a statement inside the transaction that is open there.

None of these drivers is imported: a connection is recognised by the names of its classes.
"""
