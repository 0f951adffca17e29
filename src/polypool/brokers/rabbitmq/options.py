"""What an amqp:// URL may say."""

import ssl
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from polypool.core.error import ConfigurationError

QUEUE_TYPES = ("quorum", "classic")
KNOWN = ("prefix", "queue_type", "timeout", "heartbeat", "consumer_timeout", "cafile", "certfile", "keyfile", "verify")
PORTS = {"amqp": 5672, "amqps": 5671}


class Options(msgspec.Struct, frozen=True):
    """How a server is used. Times in seconds."""

    scheme: str
    host: str
    port: int
    user: str = "guest"
    password: str = "guest"
    vhost: str = "/"
    prefix: str = "polypool"
    """Leads the name of every queue: apps with different prefixes do not see each other."""
    queue_type: str | None = None
    """quorum or classic; None: quorum where the server has them. Only classic ones have priorities."""
    timeout: float = 10.0
    """To wait for a connection, an answer or a confirm."""
    heartbeat: float = 10.0
    """After about two of these without a byte a connection counts as lost, at both ends."""
    consumer_timeout: float = 1800.0
    """The server's setting of that name. A task that runs longer than a third of it has its copy acknowledged: the
    backend holds the message anyway."""
    cafile: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    verify: bool = True

    @property
    def address(self) -> str:
        """The URL as it may be shown: without user and password."""
        return f"{self.scheme}://{self.host}:{self.port}{'' if self.vhost == '/' else '/' + self.vhost}"

    @property
    def has_priorities(self) -> bool:
        return self.queue_type == "classic"

    def tls(self) -> ssl.SSLContext | None:
        """For amqps://. ConfigurationError where a file named in the URL cannot be used."""
        if self.scheme != "amqps":
            return None
        try:
            context = ssl.create_default_context(cafile=self.cafile)
            if self.certfile:
                context.load_cert_chain(self.certfile, self.keyfile)
        except OSError as error:  # SSLError is one
            files = ", ".join(file for file in (self.cafile, self.certfile, self.keyfile) if file)
            raise ConfigurationError(f"{self.address}: cannot use {files}: {error}") from None
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    @classmethod
    def parse(cls, url: str) -> "Options":
        """From a URL; ConfigurationError names what is wrong in it, and never the password."""
        parts = urlsplit(url)
        shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        try:
            port = parts.port or PORTS[parts.scheme]
        except ValueError:
            raise ConfigurationError(f"broker {shown}: the port is a number from 1 to 65535") from None
        given = dict(parse_qsl(parts.query, keep_blank_values=True))
        if unknown := set(given) - set(KNOWN):
            raise ConfigurationError(f"broker {shown}: unknown option {min(unknown)!r}; there are {', '.join(KNOWN)}")
        if given.get("queue_type", "quorum") not in QUEUE_TYPES:
            raise ConfigurationError(f"broker {shown}: queue_type is quorum or classic, not {given['queue_type']!r}")
        if not given.get("prefix", "polypool") or not given.get("prefix", "polypool").isprintable():
            raise ConfigurationError(f"broker {shown}: prefix is a word, such as ?prefix=shop")
        if given.get("verify", "true") not in ("true", "false"):
            raise ConfigurationError(f"broker {shown}: verify is true or false")
        files = {name: given[name] for name in ("cafile", "certfile", "keyfile") if given.get(name)}
        return cls(
            scheme=parts.scheme,
            host=parts.hostname or "localhost",
            port=port,
            user=unquote(parts.username or "guest"),
            password=unquote(parts.password or "guest"),
            # `amqp://host` and `amqp://host/` both mean the default one, as in Celery and pika.
            vhost=unquote(parts.path[1:]) or "/",
            prefix=given.get("prefix", "polypool"),
            queue_type=given.get("queue_type"),
            timeout=_seconds(given, "timeout", 10.0, shown),
            heartbeat=_seconds(given, "heartbeat", 10.0, shown),
            consumer_timeout=_seconds(given, "consumer_timeout", 1800.0, shown),
            verify=given.get("verify", "true") == "true",
            **files,
        )


def _seconds(given: dict[str, str], name: str, usual: float, shown: str) -> float:
    try:
        seconds = float(given.get(name, usual))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ConfigurationError(f"broker {shown}: {name} is a number of seconds above 0")
    return seconds
