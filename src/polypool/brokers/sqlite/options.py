"""What an SQLite URL may say after its question mark."""

import msgspec

from polypool.core.error import ConfigurationError


class Options(msgspec.Struct, frozen=True):
    """How a file is used."""

    synchronous: str = "normal"
    """`normal`: a crash of any process loses nothing, a crash of the operating system or a power cut may lose the last
    commits (never damages the file). `full`: each commit waits for the disk."""
    busy_timeout: float = 10.0
    """Seconds to wait for a process that holds the lock, before EngineUnreachable."""
    shared: bool = False
    """The file is the app's: our tables may stand beside others, under names of their own."""

    @classmethod
    def parse(cls, url: str, pairs: list[tuple[str, str]]) -> "Options":
        """From the URL's query; ConfigurationError names what is wrong in it."""
        given = dict(pairs)
        if unknown := set(given) - set(cls.__struct_fields__):
            raise ConfigurationError(
                f"broker {url!r}: unknown option {min(unknown)!r}; there are synchronous, busy_timeout and shared"
            )
        synchronous = given.get("synchronous", "normal").lower()
        if synchronous not in ("normal", "full"):
            raise ConfigurationError(f"broker {url!r}: synchronous is normal or full")
        try:
            busy_timeout = float(given.get("busy_timeout", 10))
        except ValueError:
            raise ConfigurationError(f"broker {url!r}: busy_timeout is a number of seconds") from None
        shared = given.get("shared", "no")
        if shared not in ("yes", "no"):
            raise ConfigurationError(f"broker {url!r}: shared is yes or no")
        return cls(synchronous, busy_timeout, shared == "yes")
