"""The SQLite engine: six ports around one file, one thread and one bell."""

import os
import time
from collections.abc import Callable

from polypool.brokers.ledger.kept import KeptLedger
from polypool.brokers.sqlite.bell import Bell
from polypool.brokers.sqlite.broker import SqliteBroker
from polypool.brokers.sqlite.bus import SqliteBus
from polypool.brokers.sqlite.claims import SqliteClaims
from polypool.brokers.sqlite.database import Database
from polypool.brokers.sqlite.inside import SqliteInside
from polypool.brokers.sqlite.inspector import SqliteInspector
from polypool.brokers.sqlite.options import Options
from polypool.brokers.sqlite.results import SqliteResults
from polypool.brokers.sqlite.shelf import SqliteShelf
from polypool.brokers.sqlite.watch import Watch


class SqliteEngine:
    """What `sqlite:///…` opens."""

    def __init__(self, path: str, options: Options, clock: Callable[[], float] = time.time) -> None:
        self.place = os.path.abspath(path)
        self.database = database = Database(self.place, options)
        bell = Bell(database)
        watch = Watch(database, bell)
        self.broker = SqliteBroker(database, bell, watch, clock)
        self.results = SqliteResults(database, watch, clock)
        self.bus = SqliteBus(database, watch, clock)
        self.inspector = SqliteInspector(database, clock)
        self.claims = SqliteClaims(database, self.broker.traits, clock)
        self.ledger = KeptLedger(SqliteShelf(database, clock))
        self.inside = SqliteInside(self.place, options, self.broker.traits)
