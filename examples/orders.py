"""An order and the task that ships it, in one transaction: SQLAlchemy on SQLite, no service.

    python -m examples.orders

makes a database in a temporary folder, takes three orders of which one fails half way, and has a worker ship what was
committed. The same code runs on PostgreSQL: only the two URLs change.
"""

import os
import subprocess
import sys
import tempfile

from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from polypool import AsyncResult, Polypool

FILE = os.environ.get("ORDERS_FILE", "orders.db")
IN_STOCK = {"lamp": 10, "chair": 10}

database = create_engine(f"sqlite:///{FILE}")
app = Polypool("orders", broker=f"sqlite:///{FILE}?shared=yes")


class Table(DeclarativeBase):
    pass


class Order(Table):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    product: Mapped[str]
    is_shipped: Mapped[bool] = mapped_column(default=False)


@app.task
def ship(order_id: int) -> str:
    with Session(database) as session, session.begin():
        order = session.get_one(Order, order_id)
        order.is_shipped = True
        return f"order {order_id}: a {order.product} is on its way"


def take_order(product: str) -> AsyncResult[str]:
    """Either the order is there and will be shipped, or neither."""
    with Session(database) as session, session.begin():
        order = Order(product=product)
        session.add(order)
        session.flush()  # gives it its id
        result = ship.using(session).delay(order.id)
        if product not in IN_STOCK:
            raise LookupError(f"we have no {product}")
        return result


def main() -> None:
    Table.metadata.create_all(database)
    app.open()  # makes polypool's tables too, before a transaction holds the file's lock
    results = []
    for product in ("lamp", "unicorn", "chair"):
        try:
            results.append(take_order(product))
        except LookupError as error:
            print(f"refused: {error}; neither its row nor its task is there")
    worker = subprocess.Popen(
        [sys.executable, "-m", "polypool.cli.main", "worker", "examples.orders:app", "--log-level", "error"]
    )
    try:
        for result in results:
            print(result.get(timeout=30))
    finally:
        worker.terminate()
        worker.wait()
    with Session(database) as session:
        print(f"{session.query(Order).filter_by(is_shipped=True).count()} orders shipped")


if __name__ == "__main__":
    if "ORDERS_FILE" in os.environ:
        main()
    else:
        with tempfile.TemporaryDirectory(prefix="polypool-orders-") as folder:
            there = {**os.environ, "ORDERS_FILE": os.path.join(folder, "orders.db")}
            ran = subprocess.run([sys.executable, "-m", "examples.orders"], env=there, check=False)
        raise SystemExit(ran.returncode)
