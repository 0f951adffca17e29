"""What the stand-in says: it quotes its prompt, since it has no mind of its own.

A question with facts (lines that start with "- ") is answered with the facts that share the most
telling words with it. That is extraction, not generation, but the answer does come from what was
retrieved, word for word.
"""

import json
import re
from collections import Counter

from examples.provider.eyes import Sight

FACTS_QUOTED = 2
WORD = re.compile(r"[a-z]{3,}")


def say_what_is_seen(sight: Sight) -> str:
    """A vision answer, as the JSON that prompts usually ask for."""
    photograph = sight.photograph
    return json.dumps({"item": photograph.item, "material": photograph.material, "confidence": sight.confidence})


def say_from_facts(prompt: str) -> str:
    """A chat answer: the prompt's facts that fit its question best, as sentences."""
    lines = [line.strip() for line in prompt.splitlines() if line.strip()]
    facts = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    question = " ".join(line for line in lines if not line.startswith("- "))
    if not facts:
        return f"I am a stand-in that quotes facts from its prompt, and there were none in: {question[:200]}"
    return " ".join(without_reference(fact) for fact in best_fitting(facts, question))


def best_fitting(facts: list[str], question: str) -> list[str]:
    """The facts that share most with the question, best first; a word counts more, the fewer facts have it."""
    words_of = {fact: set(WORD.findall(fact.lower())) for fact in facts}
    in_facts = Counter(word for words in words_of.values() for word in words)
    asked = set(WORD.findall(question.lower()))

    def fit(fact: str) -> float:
        return sum(1 / in_facts[word] for word in words_of[fact] & asked)

    return sorted(facts, key=fit, reverse=True)[:FACTS_QUOTED]


def without_reference(fact: str) -> str:
    """A fact less a reference such as "[glass-2]" in front of it."""
    return re.sub(r"^\[[^\]]*\]\s*", "", fact)


def in_pieces(answer: str) -> list[str]:
    """An answer as a stream would bring it: a word at a time, the spaces kept."""
    return re.findall(r"\S+\s*", answer)
