"""What the provider counts, for whoever wants to know how it was treated."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass


@dataclass
class Counters:
    """Since the start: requests let in, 429s given, tokens used, and how many ran at once."""

    requests: int = 0
    refused: int = 0
    tokens: int = 0
    in_flight: int = 0
    peak_in_flight: int = 0

    @contextmanager
    def one_more(self) -> Iterator[None]:
        self.requests += 1
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        try:
            yield
        finally:
            self.in_flight -= 1

    def as_json(self) -> dict[str, int]:
        return asdict(self)
