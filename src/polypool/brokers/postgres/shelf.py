"""The rows of the ledger in their table."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from polypool.brokers.ledger.account import LIMIT, Account, Name, Row
from polypool.brokers.ledger.kept import SWEPT_AT_ONCE
from polypool.brokers.postgres.session import Connection, Session

T = TypeVar("T")


class PostgresShelf:
    """Where the PostgreSQL engine keeps them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def change(self, names: Sequence[Name], act: Callable[[Account], T]) -> T:
        async def change(connection: Connection) -> T:
            async with connection.transaction():
                # One at a time: those that charge the same keys would wait for each other anyway, and rows that are not
                # there yet cannot be locked.
                await connection.rows("lock_ledger")
                account = Account(now := self._session.clock())
                await connection.rows("ledger_sweep", now, SWEPT_AT_ONCE)
                account.put_in_lapsed(await _rows(connection, "ledger_lapsed", now))
                await _find(connection, account, names)
                await _find(connection, account, account.lacking())
                account.lapse()
                answer = act(account)
                await _store(connection, account)
            return answer

        return await self._session.run(change)

    async def gauged(self, prefix: str, limit: int) -> Account:
        async def look(connection: Connection) -> Account:
            account = Account(now := self._session.clock())
            account.put_in(await _rows(connection, "ledger_look", LIMIT, prefix, limit, now))
            return account

        return await self._session.run(look)


async def _find(connection: Connection, account: Account, names: Sequence[Name]) -> None:
    if names:
        kinds, keys = zip(*dict.fromkeys(names), strict=True)
        account.put_in(await _rows(connection, "ledger_find", kinds, keys))


async def _store(connection: Connection, account: Account) -> None:
    kept, deleted = account.stored()
    if kept:
        await connection.rows("ledger_write", *(list(column) for column in zip(*kept, strict=True)))
    if deleted:
        await connection.rows("ledger_delete", *(list(column) for column in zip(*deleted, strict=True)))


async def _rows(connection: Connection, statement: str, *arguments: Any) -> list[Row]:
    return [Row(*row) for row in await connection.rows(statement, *arguments)]
