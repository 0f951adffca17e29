"""The characters that users collect: one for every thing sorted, read from a local SQLite cache."""

import random
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import astuple, dataclass
from pathlib import Path

ANYTHING = "anything"  # the material of characters who come when no other fits


@dataclass(frozen=True)
class Character:
    """Who a user meets for sorting out one thing; rarity runs from 1, common, to 5."""

    name: str
    material: str
    rarity: int
    greeting: str


CHARACTERS = (
    Character("Folio", "paper", 1, "I was a letter twice and a map once. What shall I be next?"),
    Character("Inkblot", "paper", 3, "Every page has two sides, and you chose the right one."),
    Character("Clink", "glass", 1, "Green with green, clear with clear, and we all sing."),
    Character("Prism", "glass", 4, "I go round for ever and never wear out."),
    Character("Rivet", "metal", 1, "Melt me! I have always wanted to be a bicycle."),
    Character("Penny", "metal", 2, "Old, worn, and still worth keeping."),
    Character("Girder", "scrap metal", 3, "I held up a roof. A bridge would be nice."),
    Character("Countdown", "scrap metal", 5, "You will not see many of my kind in a recycling yard."),
    Character("Crock", "ceramic", 1, "A saucer short of a set, but in the right bin."),
    Character("Kiln", "ceramic", 3, "Twice fired, once dropped."),
    Character("Rubble", "rubble", 1, "Today a wall, tomorrow a road."),
    Character("Keystone", "rubble", 4, "Take me out last, and gently."),
    Character("Mulch", "garden waste", 1, "Give me a year and I shall be soil."),
    Character("Thistle", "garden waste", 2, "No weed is rubbish to a bee."),
    Character("Sparkplug", "vehicle", 2, "Drain the oil first, then we can talk."),
    Character("Odometer", "vehicle", 4, "Ninety thousand kilometres, and this was the best turn."),
    Character("Ohm", "electronics", 2, "No bin for me: I go back to the shop."),
    Character("Shutter", "electronics", 4, "You did remember the memory card?"),
    Character("Thread", "textile", 1, "Somebody will be warm in me again."),
    Character("Velcro", "textile", 5, "I have been to space. The clothes bank is quieter."),
    Character("Whiskers", "living animal", 5, "I am not rubbish. Dinner?"),
    Character("Bubble", "plastic", 1, "Empty, not washed. You knew that."),
    Character("Bin Bin", ANYTHING, 1, "When in doubt, ask me."),
    Character("Magpie", ANYTHING, 2, "Are you sure that you want to throw this away?"),
)

SCHEMA = """
CREATE TABLE characters (
    name TEXT PRIMARY KEY, material TEXT NOT NULL, rarity INTEGER NOT NULL, greeting TEXT NOT NULL
);
CREATE INDEX characters_by_material ON characters (material);
"""
FITTING = "SELECT name, material, rarity, greeting FROM characters WHERE material = ? ORDER BY name"


def build_cache(path: Path) -> None:
    """Write the cache, over an old one if there is one; whoever reads meanwhile finds one or the other."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        draft = Path(folder, path.name)
        with closing(sqlite3.connect(draft)) as connection, connection:
            connection.executescript(SCHEMA)
            connection.executemany("INSERT INTO characters VALUES (?, ?, ?, ?)", map(astuple, CHARACTERS))
        draft.replace(path)


def meet(path: Path, material: str, turn: int) -> Character:
    """The character for a material; a rare one comes less often, the same turn always brings the same.

    Blocking: call it where blocking is fine, on a thread.
    """
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute(FITTING, [material]).fetchall()
        rows = rows or connection.execute(FITTING, [ANYTHING]).fetchall()
    fitting = [Character(*row) for row in rows]
    return random.Random(turn).choices(fitting, [6 - each.rarity for each in fitting])[0]
