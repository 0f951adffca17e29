"""A FastAPI app that hands work to polypool and streams what becomes of it."""
