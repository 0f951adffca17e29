"""The PostgreSQL engine: six ports around one connection for work and one for listening."""

import time
from collections.abc import Callable

from polypool.brokers.ledger.kept import KeptLedger
from polypool.brokers.postgres.bell import Bell
from polypool.brokers.postgres.broker import PostgresBroker
from polypool.brokers.postgres.bus import PostgresBus
from polypool.brokers.postgres.claims import PostgresClaims
from polypool.brokers.postgres.inside import PostgresInside
from polypool.brokers.postgres.inspector import PostgresInspector
from polypool.brokers.postgres.results import PostgresResults
from polypool.brokers.postgres.session import Session
from polypool.brokers.postgres.shelf import PostgresShelf
from polypool.brokers.postgres.takes import Takes
from polypool.brokers.postgres.watch import Watch


class PostgresEngine:
    """What `postgresql://…` opens."""

    def __init__(self, url: str, clock: Callable[[], float] = time.time) -> None:
        session = Session(url, clock)
        self.place = session.server
        bell = Bell(session)
        watch = Watch(bell)
        takes = Takes(session)
        self.broker = PostgresBroker(session, bell, watch, takes)
        self.claims = PostgresClaims(session, self.broker.traits, takes)
        self.results = PostgresResults(session, watch)
        self.bus = PostgresBus(session, watch)
        self.inspector = PostgresInspector(session)
        self.ledger = KeptLedger(PostgresShelf(session))
        self.inside = PostgresInside(url, self.broker.traits)
