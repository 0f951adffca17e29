"""What every web framework says of a request in its own words, and what each must carry back."""

from collections.abc import Callable, Mapping
from urllib.parse import quote

import msgspec


class Call(msgspec.Struct, frozen=True):
    """A request, without its body."""

    method: str
    path: str
    """From the server's root on, decoded."""
    root: str
    """Where the interface is mounted, encoded; "" at the server's root."""
    address: str
    header: Callable[[str], str | None]
    """By its name in small letters."""
    query: Callable[[str], str | None]


class Reply(msgspec.Struct, frozen=True):
    """The whole of an answer."""

    status: int
    content: bytes = b""
    headers: Mapping[str, str] = {}
    media_type: str | None = None


def root_above(path: str, address: str) -> str:
    """Where the interface is mounted, by the path of a request for one of its addresses."""
    return quote(path.removesuffix(address))
