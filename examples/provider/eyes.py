"""What the stand-in sees: it compares a picture with the photographs it knows.

No neural network: a picture is described by where its light and colours are and how rough it is,
and named after the known photograph whose description is nearest. The name therefore depends on
the pixels that were sent, and on nothing else.
"""

import io
import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from examples.photographs import CATALOGUE, Photograph

Floats = npt.NDArray[np.float64]

SIDE = 128  # every picture is looked at in this size
ROUGHNESS_WEIGHT = 6.0  # against colour; chosen so that grass, gravel and bricks keep apart


class NotAPicture(ValueError):
    """The bytes are no image that Pillow can read."""


@dataclass(frozen=True)
class Sight:
    """What was seen, and how sure: 1.0 is the very photograph, 0.0 is nothing like it."""

    photograph: Photograph
    confidence: float


def look(picture: bytes) -> Sight:
    """Name what is on a picture (JPEG, PNG, WebP or GIF bytes)."""
    return nearest(describe(decode(picture)))


def decode(picture: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(picture)).convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError) as error:
        raise NotAPicture("You uploaded an unsupported image. Please make sure your image is valid.") from error


def nearest(description: Floats) -> Sight:
    distances = [float(np.linalg.norm(description - known)) for _, known in known_photographs()]
    best = min(range(len(distances)), key=distances.__getitem__)
    return Sight(known_photographs()[best][0], round(math.exp(-distances[best] / 2), 2))


@cache
def known_photographs() -> tuple[tuple[Photograph, Floats], ...]:
    """Each known photograph, the right way round and mirrored, with its description."""
    return tuple(
        (photograph, describe(picture))
        for photograph in CATALOGUE
        for picture in (photograph.open(), ImageOps.mirror(photograph.open()))
    )


def describe(picture: Image.Image) -> Floats:
    """A picture as numbers: colours on a 4 × 4 grid, then how rough it is at three sizes of detail."""
    pixels = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.float64) / 255
    colours = pixels.reshape(4, SIDE // 4, 4, SIDE // 4, 3).mean(axis=(1, 3)).ravel()
    grey = pixels.mean(axis=2)
    grey = (grey - grey.mean()) / (grey.std() + 1e-6)  # brighter or darker light is no difference
    return np.concatenate([colours, ROUGHNESS_WEIGHT * roughness(grey)])


def roughness(grey: Floats) -> Floats:
    """How much neighbours differ, across and down, at 1, 2 and 4 pixels of detail."""
    found = []
    for step in (1, 2, 4):
        side = SIDE // step
        coarse = grey.reshape(side, step, side, step).mean(axis=(1, 3))
        found += [np.abs(np.diff(coarse, axis=axis)).mean() for axis in (0, 1)]
    return np.array(found)
