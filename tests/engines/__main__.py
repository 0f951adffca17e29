"""`python -m tests.engines`: see to it, once and before tests run side by side, that every engine's server is there.

Exit status 1, and the lines that say what to install, where one is missing and cannot be installed.
"""

import os
import sys

from tests.engines import chromium, pgbouncer, postgres, rabbitmq, redis


def main() -> int:
    missing = 0
    for name, variable, find in (
        ("Redis", redis.VARIABLE, redis.program),
        ("PostgreSQL", postgres.VARIABLE, postgres.programs),
        ("RabbitMQ", rabbitmq.VARIABLE, rabbitmq.program),
    ):
        if variable in os.environ:
            print(f"{name}: the server that {variable} names")
            continue
        try:
            print(f"{name}: a private server of {find()}")
        except RuntimeError as error:
            print(error, file=sys.stderr)
            missing = 1
    for name, find in (("PgBouncer", pgbouncer.program), ("Chromium", chromium.program)):
        try:
            print(f"{name}: {find()}")
        except RuntimeError as error:
            print(error, file=sys.stderr)
            missing = 1
    return missing


if __name__ == "__main__":
    sys.exit(main())
