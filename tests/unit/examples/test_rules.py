"""The rules that are found fit the thing that was asked about."""

import pytest

from examples.photographs import CATALOGUE, Photograph
from examples.scan.rules import RULES, find_rules, read_rules

EXPECTED = {
    "ceramic": "Ceramics and crockery",
    "metal": "Metal",
    "paper": "Paper and cardboard",
    "rubble": "Building rubble",
    "garden waste": "Garden waste",
    "vehicle": "Vehicles",
    "electronics": "Electronics",
    "living animal": "Animals, and what is not rubbish",
    "textile": "Textiles and shoes",
    "scrap metal": "Hazardous waste",  # a rocket: its tanks come first
}


def test_every_rule_has_a_name_of_its_own() -> None:
    rules = read_rules(RULES.read_text(encoding="utf-8"))
    assert len(rules) == len({rule.name for rule in rules}) >= 60


@pytest.mark.parametrize("photograph", CATALOGUE, ids=lambda photograph: photograph.file)
def test_the_best_rule_stands_under_the_right_heading(photograph: Photograph) -> None:
    best = find_rules(f"{photograph.item} {photograph.material}")[0]
    assert best.heading == EXPECTED[photograph.material]


def test_words_are_matched_by_their_stem() -> None:
    assert "glass-1" in [rule.name for rule in find_rules("a bottle and a jar")]


def test_a_question_that_shares_no_word_finds_nothing() -> None:
    assert find_rules("xylophone qwertz") == []
