"""The SQL files beside this one, by name, for the schema they are to run in."""

import re
from importlib.resources import files

from polypool.core.error import ConfigurationError

_FILES = {
    file.name.removesuffix(".sql"): file.read_text(encoding="utf-8")
    for file in (files(__package__) / "sql").iterdir()
    if file.name.endswith(".sql")
}
MIGRATIONS = tuple(
    file.read_text(encoding="utf-8")
    for file in sorted((files(__package__) / "migrations").iterdir(), key=lambda file: file.name)
    if file.name.endswith(".sql")
)
"""In order; the first makes everything in an empty schema."""
_PART = re.compile(r"/\* (\w+)\.sql \*/")
LONGEST_SCHEMA = 48
"""Bytes; the names of channels, made of it, are at most 63."""


class Statements:
    """Every statement, written for one schema. The files say `polypool`."""

    def __init__(self, schema: str) -> None:
        if not schema.replace("_", "a").isalnum() or not schema.isascii() or len(schema) > LONGEST_SCHEMA:
            raise ConfigurationError(
                f"schema {schema!r}: write a name of letters, digits and _, at most {LONGEST_SCHEMA} of them"
            )
        self.schema = schema
        self._sql = {name: self.written(text) for name, text in _FILES.items()}

    def __getitem__(self, name: str) -> str:
        return self._sql[name]

    def written(self, text: str) -> str:
        """A statement as it is for this schema: `polypool.` before tables, `polypool:` before channels, and in place of
        a comment that names another file what that file says."""
        while _PART.search(text):
            text = _PART.sub(lambda found: _FILES[found[1]], text)
        return text.replace("polypool.", f'"{self.schema}".').replace("polypool:", f"{self.schema}:")

    def channel(self, name: str) -> str:
        return f"{self.schema}:{name}"
