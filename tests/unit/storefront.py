"""An app with public tasks behind each face of the web, called without a network; a test runs what is sent by hand."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import httpx
from fastapi import FastAPI
from flask import Flask
from werkzeug.test import run_wsgi_app

from polypool import Polypool
from polypool.doors.fastapi import router
from polypool.doors.flask import blueprint
from polypool.web import asgi
from tests.unit.by_hand import EngineByHand


@dataclass
class Item:
    name: str
    count: int = 1


FACES = ("gateway", "flask", "fastapi")


class Shop:
    def __init__(self, face: str) -> None:
        self.face = face
        self.engine = EngineByHand()
        self.app = app = Polypool("shop", broker=self.engine)

        @app.task(name="pack", public=True)
        def pack(item: Item, fragile: bool = False) -> str:
            """Pack one item.

            It is wrapped first.
            """
            return f"{item.name} × {item.count}"

        @app.task(name="wake", public=True)
        async def wake(at: datetime, key: bytes = b"") -> None: ...

        @app.task(name="rest", public=True, bind=True)
        def rest(self: Any) -> None: ...

        @app.task(name="a task/with a odd name", public=True)
        def odd() -> None: ...

        @app.task(name="secret")
        def secret(x: int) -> int:
            return x

        self.pack, self.secret = pack, secret

    def served(self, **options: Any) -> Any:
        """By this face, at the root of its server."""
        if self.face == "gateway":
            return asgi(self.app, **options)
        if self.face == "flask":
            mine = Flask("mine")
            mine.register_blueprint(blueprint(self.app, **options))
            return mine
        yours = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        yours.include_router(router(self.app, **options))
        return yours

    def client(self, served: Any = None, **options: Any) -> httpx.AsyncClient:
        """Whoever calls it."""
        web = served or self.served(**options)
        transport = OverWSGI(web) if isinstance(web, Flask) else httpx.ASGITransport(web)
        return httpx.AsyncClient(transport=transport, base_url="http://shop")


class OverWSGI(httpx.AsyncBaseTransport):
    """Calls a WSGI app in a thread, as a server of threads does."""

    def __init__(self, web: Any) -> None:
        self._web = web

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        body = Pulled(aiter(request.stream), asyncio.get_running_loop())
        environ = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(request.url.raw_path.decode().partition("?")[0], "latin-1"),
            "QUERY_STRING": request.url.query.decode(),
            "SERVER_NAME": "shop",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "wsgi.input": body,
            "wsgi.input_terminated": True,
            "wsgi.url_scheme": "http",
            "wsgi.errors": sys.stderr,
        }
        for name, value in request.headers.items():
            variable = name.upper().replace("-", "_")
            environ[variable if variable in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{variable}"] = value
        answer, status, headers = await asyncio.to_thread(run_wsgi_app, self._web, environ, buffered=True)
        return httpx.Response(int(status[:3]), headers=[*headers.items()], content=b"".join(answer))


class Pulled:
    """A request's body, read from the thread that answers it."""

    def __init__(self, chunks: AsyncIterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        self._chunks, self._loop = chunks, loop
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        while size < 0 or len(self._rest) < size:
            chunk = asyncio.run_coroutine_threadsafe(_next(self._chunks), self._loop).result(60)
            if chunk is None:
                size = len(self._rest)
                break
            self._rest += chunk
        given, self._rest = self._rest[:size], self._rest[size:]
        return given


async def _next(chunks: AsyncIterator[bytes]) -> bytes | None:
    return await anext(chunks, None)
