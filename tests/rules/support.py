"""The support matrix of docs/engines.md, made of the engines' own traits. `python -m tests.rules.support` writes it.

Nothing is connected: an engine knows its traits, and its oldest server, before it is opened.
"""

from collections.abc import Callable
from pathlib import Path

from polypool.brokers.open import open_engine
from polypool.brokers.postgres.migrate import OLDEST_SERVER as OLDEST_POSTGRES
from polypool.brokers.rabbitmq.check import OLDEST as OLDEST_RABBITMQ
from polypool.brokers.redis.check import OLDEST as OLDEST_REDIS
from polypool.brokers.sqlite.file import OLDEST_SQLITE
from polypool.core.port import Engine, Traits
from tests.rules.tree import DOCS

PAGE = DOCS / "engines.md"
BEGIN = "<!-- support: made by `python -m tests.rules.support` -->"
END = "<!-- support: end -->"
YES, NO = "yes", "–"

ENGINES: dict[str, Engine] = {
    "memory": open_engine("memory://"),
    "[SQLite](sqlite.md)": open_engine("sqlite:///tasks.db"),
    "[Redis, Valkey](redis.md)": open_engine("redis://localhost"),
    "[PostgreSQL](postgres.md)": open_engine("postgresql://localhost/db"),
    "[RabbitMQ](rabbitmq.md), quorum queues": open_engine("amqp://localhost", backend="sqlite:///tasks.db"),
    "[RabbitMQ](rabbitmq.md), classic queues": open_engine(
        "amqp://localhost?queue_type=classic", backend="sqlite:///tasks.db"
    ),
}
OLDEST = ((), OLDEST_SQLITE[:2], OLDEST_REDIS, (OLDEST_POSTGRES,), OLDEST_RABBITMQ, OLDEST_RABBITMQ)


def _flag(name: str) -> Callable[[Engine], str]:
    return lambda engine: YES if getattr(engine.broker.traits, name) else NO


def _kept(name: str) -> Callable[[Engine], str]:
    """What a backend does for an engine that needs one."""

    def cell(engine: Engine) -> str:
        traits = engine.broker.traits
        return NO if not getattr(traits, name) else "by its backend" if traits.needs_backend else YES

    return cell


ROWS: dict[str, tuple[set[str], Callable[[Engine], str]]] = {
    "result, acknowledgement and what follows in one step": ({"atomic_settle"}, _kept("atomic_settle")),
    "delays, retries with a delay": ({"delays"}, _flag("delays")),
    "priorities within a queue": ({"priorities"}, _flag("priorities")),
    "results": ({"results"}, _kept("results")),
    "events, progress": ({"events"}, _kept("events")),
    "sends inside your transaction (`task.using`)": ({"transactions"}, _kept("transactions")),
    "needs `backend=` beside it": ({"needs_backend"}, _flag("needs_backend")),
    "may be that `backend=`": (set(), lambda engine: YES if hasattr(engine, "claims") else NO),
    "a message, a result, an event: at most": (
        {"max_message_bytes"},
        lambda engine: f"{engine.broker.traits.max_message_bytes / 2**20:g} MiB",
    ),
}
"""What a row is called, which traits it tells of, and what it says of an engine."""


def untold() -> set[str]:
    """Traits that no row tells of."""
    return set(Traits.__struct_fields__) - set[str]().union(*(told for told, _ in ROWS.values()))


def table() -> str:
    """The matrix, as Markdown."""
    lines = [_row("", list(ENGINES)), _row("---", ["---"] * len(ENGINES))]
    lines += [_row(name, [cell(engine) for engine in ENGINES.values()]) for name, (_, cell) in ROWS.items()]
    versions = [".".join(map(str, oldest)) or NO for oldest in OLDEST]
    return "\n".join([*lines, _row("oldest version that will do", versions)])


def shown(page: str) -> str:
    """The matrix that a page shows."""
    return page.partition(BEGIN)[2].partition(END)[0].strip()


def write(path: Path = PAGE) -> None:
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    path.write_text(f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}", encoding="utf-8")


def _row(name: str, cells: list[str]) -> str:
    return f"| {' | '.join([name, *cells])} |"


if __name__ == "__main__":
    write()
