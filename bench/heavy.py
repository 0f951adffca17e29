"""An app whose import fills 100 MB with what real apps hold: dicts, strings and a block of bytes."""

from polypool import Polypool

ROWS = 150_000
BLOCK_BYTES = 32 << 20

app = Polypool("bench")

CATALOGUE = [{"id": i, "name": f"article {i}", "tags": (f"tag {i % 97}", i / 7)} for i in range(ROWS)]
MODEL = bytes(range(256)) * (BLOCK_BYTES // 256)


@app.task(pool="prefork", name="reply")
def reply(value: int) -> int:
    return value
