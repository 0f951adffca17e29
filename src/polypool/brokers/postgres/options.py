"""What a PostgreSQL URL may say after its question mark, beside what the driver understands."""

from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from polypool.core.error import ConfigurationError
from polypool.core.settings import without_password

_WORDS = {"yes": True, "no": False}
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
_OURS = ("schema", "migrate", "pooled", "poll", "connect_timeout", "synchronous_commit")


class Options(msgspec.Struct, frozen=True):
    """How a server is used."""

    schema: str = "polypool"
    """Where the tables live; two apps in one database take two schemas."""
    migrate: bool = True
    """Whether whoever opens the engine makes or renews the tables. `no`: `polypool migrate` does."""
    pooled: bool = False
    """A transaction-pooling proxy is in between: no LISTEN, no prepared statements, no session settings."""
    poll: float = 0.5
    """Seconds between looks where nothing can be heard."""
    connect_timeout: float = 10.0
    synchronous_commit: str = "on"
    """`off`: a crash of the server may lose the last commits, of half a second or so."""

    @classmethod
    def parse(cls, url: str) -> tuple[str, "Options"]:
        """The URL for the driver and the options for us; ConfigurationError names what is wrong."""
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        ours = {name: value for name, value in pairs if name in _OURS}
        theirs = [(name, value) for name, value in pairs if name not in _OURS]
        for name, value in theirs:
            if name in _FILES and not Path(value).expanduser().exists():
                raise ConfigurationError(f"broker {shown(url)}: {name} names a file that is not there: {value}")
        scheme = "postgresql"
        dsn = urlunsplit((scheme, parts.netloc, parts.path, urlencode(theirs), ""))
        fields: dict[str, object] = dict(ours)
        for name in ("migrate", "pooled"):
            if name in ours:
                if ours[name] not in _WORDS:
                    raise ConfigurationError(f"broker {shown(url)}: {name} is yes or no")
                fields[name] = _WORDS[ours[name]]
        for name in ("poll", "connect_timeout"):
            if name in ours:
                fields[name] = _seconds(url, name, ours[name])
        if ours.get("synchronous_commit", "on") not in ("on", "off", "local", "remote_write", "remote_apply"):
            raise ConfigurationError(f"broker {shown(url)}: synchronous_commit is on, off, local or remote_…")
        return dsn, msgspec.convert(fields, cls)


def shown(url: str) -> str:
    """Where a URL leads: without its password and options."""
    return without_password(url).partition("?")[0]


def _seconds(url: str, name: str, value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 86_400:
        raise ConfigurationError(f"broker {shown(url)}: {name} is a number of seconds above 0")
    return seconds
