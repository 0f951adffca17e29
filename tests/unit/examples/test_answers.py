"""The stand-in answers from the facts in its prompt."""

from examples.provider.answers import in_pieces, say_from_facts

PROMPT = """
How do I dispose of a green bottle?
- [glass-1] Bottles and every green bottle go into the bottle bank.
- [paper-1] Newspapers go into the paper bin.
- [glass-2] Take the cap off the bottle first.
"""


def test_it_quotes_the_facts_that_fit_the_question_best_first_without_references() -> None:
    assert say_from_facts(PROMPT) == (
        "Bottles and every green bottle go into the bottle bank. Take the cap off the bottle first."
    )


def test_it_admits_that_it_has_nothing_to_quote() -> None:
    assert "there were none" in say_from_facts("How are you?")


def test_a_stream_in_pieces_adds_up_to_the_answer() -> None:
    answer = say_from_facts(PROMPT)
    assert len(in_pieces(answer)) == 17
    assert "".join(in_pieces(answer)) == answer
