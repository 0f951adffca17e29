"""Make and renew the tables: each migration once, by whoever comes first."""

import asyncpg

from polypool.brokers.postgres.fault import mapped
from polypool.brokers.postgres.options import Options, shown
from polypool.brokers.postgres.proxy import AnyConnection, together
from polypool.brokers.postgres.statements import MIGRATIONS, Statements
from polypool.core.error import EngineDamaged

SCHEMA = len(MIGRATIONS)
OLDEST_SERVER = 13
"""Older ones have had their last release, and nothing is tested against them."""


async def prepare(connection: AnyConnection, statements: Statements, options: Options, server: str) -> None:
    """See that this server can be used and has our tables; make them where the options say so. EngineDamaged."""
    await _refuse_unfit(connection, server)
    version = await _version(connection, statements)
    if version < SCHEMA:
        if not options.migrate:
            state = f"of version {version}" if version else "missing"
            raise EngineDamaged(
                f"{server}: the tables in schema {options.schema!r} are {state} and this polypool needs version "
                f"{SCHEMA}; run `polypool migrate --broker URL`"
            )
        await _migrate(connection, statements)
    elif version > SCHEMA:
        raise EngineDamaged(
            f"{server}: the tables in schema {options.schema!r} were made by a newer polypool (version {version}, "
            f"this one knows {SCHEMA}); upgrade this installation"
        )


async def migrate(url: str) -> tuple[int, int]:
    """Bring a server's tables up to date; the version before and after. For `polypool migrate`."""
    dsn, options = Options.parse(url)
    statements = Statements(options.schema)
    try:
        connection = await asyncpg.connect(dsn, timeout=options.connect_timeout, statement_cache_size=0)
    except Exception as error:
        raise mapped(error, shown(url)) from error
    try:
        async with together(connection):
            await _refuse_unfit(connection, shown(url))
            before = await _version(connection, statements)
            if before > SCHEMA:
                await prepare(connection, statements, options, shown(url))
            if before < SCHEMA:
                await _migrate(connection, statements)
        return before, SCHEMA
    except Exception as error:
        raise mapped(error, shown(url)) from error
    finally:
        await connection.close()


async def _refuse_unfit(connection: AnyConnection, server: str) -> None:
    found = connection.get_server_version()
    if found.major < OLDEST_SERVER:
        raise EngineDamaged(
            f"{server}: is PostgreSQL {found.major}; polypool needs {OLDEST_SERVER} or newer: upgrade it"
        )
    encoding, is_replica, is_read_only = await connection.fetchrow(
        "SELECT current_setting('server_encoding'), pg_is_in_recovery(), current_setting('transaction_read_only')::bool"
    ) or ("", False, False)
    if encoding != "UTF8":
        raise EngineDamaged(f"{server}: the database's encoding is {encoding}; create one with `createdb -E UTF8 NAME`")
    if is_replica:
        raise EngineDamaged(f"{server}: is a read-only replica; name the primary in the broker's URL")
    if is_read_only:
        raise EngineDamaged(
            f"{server}: lets this user only read (default_transaction_read_only); "
            "`ALTER ROLE … SET default_transaction_read_only = off`, or set it for the database or the server"
        )


async def _version(connection: AnyConnection, statements: Statements) -> int:
    # Asked for first, since inside a transaction an error would end it.
    if await connection.fetchval("SELECT to_regclass($1)", f'"{statements.schema}".migration') is None:
        return 0
    return int(await connection.fetchval(statements["schema_version"]))


async def _migrate(connection: AnyConnection, statements: Statements) -> None:
    async with connection.transaction():
        # One at a time: of many workers that start together the first migrates, the others find it done.
        await connection.execute("SELECT pg_advisory_xact_lock(1886350445, hashtext($1))", statements.schema)
        # Only if missing: a user without the right to create schemas may own this one. Looked up in the catalogue's
        # table: `to_regnamespace` may not yet have heard of what others did while this one waited for its turn.
        known = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)"
        if not await connection.fetchval(known, statements.schema):
            await connection.execute(f'CREATE SCHEMA "{statements.schema}"')
        await connection.execute(
            statements.written(
                "CREATE TABLE IF NOT EXISTS polypool.migration "
                "(version integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
            )
        )
        version = int(await connection.fetchval(statements["schema_version"]))
        for number, text in enumerate(MIGRATIONS[version:], version + 1):
            await connection.execute(statements.written(text))
            await connection.execute(statements.written("INSERT INTO polypool.migration (version) VALUES ($1)"), number)
