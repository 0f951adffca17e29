"""What a Redis URL may say after its question mark."""

from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from polypool.core.error import ConfigurationError

DRIVERS_OWN = frozenset({"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"})


class Options(msgspec.Struct, frozen=True):
    """How a server is used."""

    url: str
    """What is left for the driver: address, user, password, database, certificates."""
    prefix: str = "polypool"
    """Leads every key, in braces, so that all keys of one app share a slot of a cluster. Apps with different
    prefixes do not see each other."""
    timeout: float = 10.0
    """Seconds to wait for a connection or an answer, before EngineUnreachable."""

    @property
    def address(self) -> str:
        """The URL as it may be shown: without user and password."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    @classmethod
    def parse(cls, url: str) -> "Options":
        """From a URL; ConfigurationError names what is wrong in it."""
        parts = urlsplit(url)
        given = dict(parse_qsl(parts.query, keep_blank_values=True))
        prefix, timeout = given.pop("prefix", "polypool"), given.pop("timeout", "10")
        shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
        if unknown := set(given) - DRIVERS_OWN:
            known = ", ".join(["prefix", "timeout", *sorted(DRIVERS_OWN)])
            raise ConfigurationError(f"broker {shown}: unknown option {min(unknown)!r}; there are {known}")
        if not prefix or set(prefix) & set("{} "):
            raise ConfigurationError(
                f"broker {shown}: prefix is a word without braces and spaces, such as ?prefix=shop"
            )
        try:
            seconds = float(timeout)
        except ValueError:
            raise ConfigurationError(f"broker {shown}: timeout is a number of seconds") from None
        if not 0 < seconds < float("inf"):
            raise ConfigurationError(f"broker {shown}: timeout is a number of seconds above 0")
        return cls(parts._replace(query=urlencode(given)).geturl(), prefix, seconds)
