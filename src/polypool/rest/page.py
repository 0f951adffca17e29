"""The page that shows the API to people. It holds nothing but itself: what there is it reads from openapi.json, with
the token that its reader types in."""

import base64
import re
from hashlib import sha256
from pathlib import Path

from polypool.rest.exchange import Reply

PAGE = Path(__file__).with_name("docs.html").read_text(encoding="utf-8")


def _hashes(tag: str) -> str:
    """Of the page's own scripts or styles, as a browser checks them: no other is run."""
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", PAGE, re.DOTALL)
    return " ".join(f"'sha256-{base64.b64encode(sha256(one.encode()).digest()).decode()}'" for one in found)


HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; connect-src 'self'; script-src {_hashes('script')}; style-src {_hashes('style')}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}

REPLY = Reply(200, PAGE.encode(), HEADERS, "text/html; charset=utf-8")
"""To GET /docs."""
