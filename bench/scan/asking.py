"""What the pipeline asks of the provider: two requests as small as they can be. Both sides of the comparison use it."""

import base64
import json
import random
import struct
import zlib

ANSWER_TOKENS = 250


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def picture(side: int = 8) -> bytes:
    """A small PNG, the same each time: what the provider's eyes cost is not what is measured."""
    chance = random.Random(1)
    rows = b"".join(b"\0" + chance.randbytes(3 * side) for _ in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _body(content: object) -> bytes:
    messages = [{"role": "user", "content": content}]
    return json.dumps({"model": "stand-in", "max_tokens": ANSWER_TOKENS, "messages": messages}).encode()


VISION_BODY = _body(
    [
        {"type": "text", "text": "Name the thing in this photo."},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(picture()).decode()}"}},
    ]
)
ANSWER_BODY = _body("What do I do with this jar?\n- [glass-1] Jars go to the glass bin, without their lids.")
BODIES = {"vision": VISION_BODY, "answer": ANSWER_BODY}


def tokens(answered: bytes) -> int:
    """What the provider says that a call used."""
    return int(json.loads(answered)["usage"]["total_tokens"])
