"""The rows of the ledger in their table."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from polypool.brokers.ledger.account import LIMIT, Account, Name, Row
from polypool.brokers.ledger.kept import SWEPT_AT_ONCE
from polypool.brokers.sqlite.database import Database
from polypool.brokers.sqlite.statements import SQL
from polypool.brokers.sqlite.transaction import Transaction, to_json

T = TypeVar("T")


class SqliteShelf:
    """Where the SQLite engine keeps them."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    async def change(self, names: Sequence[Name], act: Callable[[Account], T]) -> T:
        def change(transaction: Transaction) -> T:
            now = self._clock()
            transaction.run("ledger_sweep", now=now, limit=SWEPT_AT_ONCE)
            account = Account(now)
            account.put_in_lapsed(_rows(transaction, "ledger_lapsed", now=now))
            _find(transaction, account, names)
            _find(transaction, account, account.lacking())
            account.lapse()
            answer = act(account)
            kept, deleted = account.stored()
            if kept:
                transaction.run("ledger_write", rows=to_json(kept))
            if deleted:
                transaction.run("ledger_delete", names=to_json(deleted))
            return answer

        return await self._database.write(change)

    async def gauged(self, prefix: str, limit: int) -> Account:
        def look(connection: sqlite3.Connection) -> Account:
            account = Account(now := self._clock())
            arguments = {"kind": LIMIT, "prefix": prefix, "limit": limit, "now": now}
            account.put_in(Row(*row) for row in connection.execute(SQL["ledger_look"], arguments))
            return account

        return await self._database.read(look)


def _find(transaction: Transaction, account: Account, names: Sequence[Name]) -> None:
    if names:
        account.put_in(_rows(transaction, "ledger_find", names=to_json(list(dict.fromkeys(names)))))


def _rows(transaction: Transaction, statement: str, **arguments: Any) -> list[Row]:
    return [Row(*row) for row in transaction.rows(statement, **arguments)]
