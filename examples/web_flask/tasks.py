"""What the Flask app hands over. Counting words takes a processor, so it runs in processes of its own."""

import re
from collections import Counter

from polypool import Polypool

app = Polypool("words")


@app.task(pool="prefork", timeout=60, expires=60, public=True)
def count_words(text: str, most: int = 10) -> list[tuple[str, int]]:
    """The most frequent words of a text, and how often each is there."""
    return Counter(re.findall(r"\w+", text.lower())).most_common(most)
