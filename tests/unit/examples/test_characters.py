"""Users meet a character that fits what they sorted."""

from collections import Counter
from pathlib import Path

import pytest

from examples.photographs import CATALOGUE
from examples.scan.characters import ANYTHING, build_cache, meet


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    path = tmp_path / "characters.db"
    build_cache(path)
    return path


def test_every_material_in_the_photographs_has_characters_of_its_own(cache: Path) -> None:
    for photograph in CATALOGUE:
        assert meet(cache, photograph.material, turn=0).material == photograph.material


def test_a_material_that_nobody_stands_for_brings_one_who_fits_anything(cache: Path) -> None:
    assert meet(cache, "antimatter", turn=0).material == ANYTHING


def test_the_rarer_a_character_is_the_less_often_it_comes(cache: Path) -> None:
    met = Counter(meet(cache, "paper", turn).name for turn in range(300))
    assert met["Folio"] > met["Inkblot"] > 0


def test_a_cache_can_be_built_again_over_an_old_one(cache: Path) -> None:
    build_cache(cache)
    assert meet(cache, "paper", turn=1) == meet(cache, "paper", turn=1)
