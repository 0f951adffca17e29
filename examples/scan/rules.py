"""Find the disposal rules that fit a thing: BM25 over the lines of rules.md."""

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import bm25s
import Stemmer

RULES = Path(__file__).with_name("rules.md")


@dataclass(frozen=True)
class Rule:
    """One line of rules.md and the heading it stands under; `name` is for quoting, such as "glass-2"."""

    name: str
    heading: str
    text: str

    def as_json(self) -> dict[str, str]:
        return asdict(self)


def find_rules(question: str, count: int = 3) -> list[Rule]:
    """The rules that fit a question best, best first. None that shares no word with it."""
    return _index().find(question, count)


def read_rules(text: str) -> list[Rule]:
    rules: list[Rule] = []
    heading, number = "", 0
    for line in text.splitlines():
        if line.startswith("## "):
            heading, number = line.removeprefix("## "), 0
        elif line.startswith("- "):
            number += 1
            name = f"{heading.split()[0].strip(',').lower()}-{number}"
            rules.append(Rule(name, heading, line.removeprefix("- ")))
    return rules


class Index:
    """Rules that can be searched. Building one takes a few milliseconds, searching less than one."""

    def __init__(self, rules: list[Rule]) -> None:
        self._rules = rules
        self._stemmer = Stemmer.Stemmer("english")
        self._bm25 = bm25s.BM25()
        # The heading counts as part of a rule: "Glass" tells what "lids come off" is about.
        self._bm25.index(self._words([f"{rule.heading}. {rule.text}" for rule in rules]), show_progress=False)

    def find(self, question: str, count: int) -> list[Rule]:
        places, scores = self._bm25.retrieve(
            self._words([question]), k=min(count, len(self._rules)), show_progress=False
        )
        return [self._rules[place] for place, score in zip(places[0], scores[0], strict=True) if score > 0]

    def _words(self, texts: list[str]) -> object:
        return bm25s.tokenize(texts, stopwords="en", stemmer=self._stemmer, show_progress=False)


@cache
def _index() -> Index:
    return Index(read_rules(RULES.read_text(encoding="utf-8")))
