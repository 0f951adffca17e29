"""The Lua files beside this one, ready to be loaded: each verb with the moves that it shares with others in front."""

import hashlib
from importlib.resources import files

import msgspec

LEDGER = frozenset({"reserve", "renew", "correct", "release", "adjust", "own", "disown", "tick", "limits"})
"""These share other moves than those of the lines."""
ENDING = frozenset({"settle", "cancel", "act", "seal"})
"""These have more of them: what an ending means to steps that wait for it."""
FREEING = frozenset(
    {"take", "give_back", "settle", "beat", "cancel", "act", "restarted", "claim", "confirm", "recall", "seal"}
) | frozenset({"reserve", "renew", "correct", "release", "disown"})
"""These end tasks or give room back, so they must go on where the memory is used up. Redis 7 lets a script say so."""
FLAGS_SINCE = (7, 0)


class Script(msgspec.Struct, frozen=True):
    """One verb."""

    text: bytes
    digest: str


def load(version: tuple[int, int]) -> dict[str, Script]:
    """The verbs by name, as a server of this version takes them."""
    folder = files(__package__) / "lua"
    texts = {
        file.name.removesuffix(".lua"): file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".lua")
    }
    record, line, joins, meter = (texts.pop(name) for name in ("record", "line", "joins", "meter"))
    scripts = {}
    for name, text in texts.items():
        flags = "#!lua flags=allow-oom\n" if name in FREEING and version >= FLAGS_SINCE else ""
        shared = meter if name in LEDGER else line + joins if name in ENDING else line
        whole = f"{flags}{record}{shared}\n{text}".encode()
        scripts[name] = Script(whole, hashlib.sha1(whole, usedforsecurity=False).hexdigest())
    return scripts
