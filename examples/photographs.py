"""Real photographs for the examples, so that none has to be committed.

They are the ones that scikit-image ships inside its package, free to use (its `data/` folder names
the sources). They are read as files; scikit-image itself is never imported.
"""

import io
import random
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps

PHONE_PIXELS = 2048  # long side of what a user sends: about 3 megapixels
PHONE_QUALITY = 90


@dataclass(frozen=True)
class Photograph:
    """One photograph and what a person says is on it."""

    file: str
    item: str
    material: str

    def open(self) -> Image.Image:
        return Image.open(folder() / self.file).convert("RGB")


CATALOGUE = (
    Photograph("coffee.png", "coffee cup with saucer and spoon", "ceramic"),
    Photograph("coins.png", "old metal coins", "metal"),
    Photograph("page.png", "printed page of a book", "paper"),
    Photograph("text.png", "handwritten notes on paper", "paper"),
    Photograph("brick.png", "bricks from a wall", "rubble"),
    Photograph("gravel.png", "gravel and crushed stone", "rubble"),
    Photograph("grass.png", "cut grass and leaves", "garden waste"),
    Photograph("motorcycle_left.png", "old motorcycle", "vehicle"),
    Photograph("camera.png", "camera on a tripod", "electronics"),
    Photograph("chelsea.png", "cat", "living animal"),
    Photograph("astronaut.png", "space suit with helmet", "textile"),
    Photograph("rocket.jpg", "rocket on its launch pad", "scrap metal"),
)


@cache
def folder() -> Path:
    """Where scikit-image keeps its photographs."""
    package = find_spec("skimage")
    if package is None or not package.submodule_search_locations:
        raise RuntimeError("The examples take their photographs from scikit-image: pip install 'polypool[examples]'")
    return Path(package.submodule_search_locations[0]) / "data"


def as_taken(photograph: Photograph, seed: int) -> bytes:
    """The photograph as one user's phone would send it: a JPEG of about 3 megapixels.

    Every seed frames, lights and mirrors it a little differently, so no two users send the same
    bytes and the vision model cannot go by the file.
    """
    chance = random.Random(seed)
    picture = photograph.open()
    share = chance.uniform(0.88, 1.0)
    width, height = int(picture.width * share), int(picture.height * share)
    left = chance.randint(0, picture.width - width)
    top = chance.randint(0, picture.height - height)
    picture = picture.crop((left, top, left + width, top + height))
    if chance.random() < 0.5:
        picture = ImageOps.mirror(picture)
    picture = ImageEnhance.Brightness(picture).enhance(chance.uniform(0.85, 1.15))
    picture = ImageOps.contain(picture, (PHONE_PIXELS, PHONE_PIXELS), Image.Resampling.BICUBIC)
    sent = io.BytesIO()
    picture.save(sent, "JPEG", quality=PHONE_QUALITY)
    return sent.getvalue()
