"""The web face: an app's public tasks over HTTP, for browsers and programs in any language. Needs `polypool[web]`."""

from polypool.core.error import MissingExtra

try:
    from polypool.web.asgi import asgi, routes
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("starlette", "sse_starlette", "uvicorn", "anyio"):
        raise
    raise MissingExtra(f"the web face needs {error.name}; install it: pip install polypool[web]") from None

__all__ = ["asgi", "routes"]
