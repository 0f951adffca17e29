"""What the stand-in names depends on the pixels it was sent."""

import io

import pytest
from PIL import Image

from examples.photographs import CATALOGUE, PHONE_PIXELS, Photograph, as_taken
from examples.provider.eyes import NotAPicture, look
from examples.scan.pictures import shrink_picture


@pytest.mark.parametrize("photograph", CATALOGUE, ids=lambda photograph: photograph.file)
def test_a_photograph_is_recognised_however_a_user_took_it(photograph: Photograph) -> None:
    for seed in range(5):
        assert look(shrink_picture(as_taken(photograph, seed))).photograph == photograph


def test_every_user_sends_other_bytes() -> None:
    assert len({as_taken(CATALOGUE[0], seed) for seed in range(4)}) == 4


def test_a_photo_comes_in_the_size_of_a_phone_and_leaves_much_smaller() -> None:
    sent = as_taken(CATALOGUE[0], seed=0)
    shrunk = shrink_picture(sent)
    assert max(Image.open(io.BytesIO(sent)).size) == PHONE_PIXELS
    assert len(shrunk) < len(sent) / 5


def test_a_picture_of_something_else_is_named_without_confidence() -> None:
    plain = io.BytesIO()
    Image.new("RGB", (64, 64), "magenta").save(plain, "PNG")
    assert look(plain.getvalue()).confidence < 0.3


def test_bytes_that_are_no_picture_are_refused() -> None:
    with pytest.raises(NotAPicture):
        look(b"not a picture")
