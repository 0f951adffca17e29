"""An app whose orders and tasks are in one database; run as a program it takes orders until it is killed."""

import os
import random
import sqlite3
import sys
from typing import Any
from urllib.parse import urlsplit

import psycopg

from polypool import Polypool

BROKER = os.environ.get("MARKS_BROKER", "sqlite:///shop.db").partition("?")[0]
SCHEMA = os.environ.get("MARKS_BROKER", "").partition("schema=")[2]
ORDERS = f"{SCHEMA}.orders" if SCHEMA else "orders"
SHIPPED = "shipped.txt"
app = Polypool("shop", broker=f"{BROKER}?schema={SCHEMA}" if SCHEMA else f"{BROKER}?shared=yes")


@app.task(name="shop.ship")
def ship(order: str) -> None:
    file = os.open(SHIPPED, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, f"{order}\n".encode())
    finally:
        os.close(file)


@app.task(name="shop.reorder")
def reorder(order: str, is_refused: bool = False) -> None:
    """A task with a transaction of its own."""
    connection = connect()
    try:
        sign = "%s" if SCHEMA else "?"
        connection.execute(f"INSERT INTO {ORDERS} VALUES ({sign})", [order])
        ship.using(connection).delay(order)
        if is_refused:
            raise ValueError("out of stock")
        connection.commit()
    finally:
        connection.close()


def connect() -> Any:
    """A connection as a program of this database has it: it begins by itself, and commits when told."""
    if SCHEMA:
        return psycopg.connect(urlsplit(BROKER).geturl())
    connection = sqlite3.connect(BROKER.removeprefix("sqlite:///"), timeout=30)
    connection.execute("PRAGMA synchronous = OFF")
    return connection


def take_orders(name: str) -> None:
    """An order a transaction, its task with it; some are changed one's mind about."""
    connection = connect()
    sign = "%s" if SCHEMA else "?"
    number = 0
    while True:
        number += 1
        order = f"{name}-{number}"
        connection.execute(f"INSERT INTO {ORDERS} VALUES ({sign})", [order])
        ship.using(connection).delay(order)
        if random.random() < 0.2:
            connection.rollback()
        else:
            connection.commit()


if __name__ == "__main__":
    take_orders(sys.argv[1])
