"""Make a photo small enough for a vision model; the CPU-heavy part of the pipeline."""

import io

from PIL import Image, ImageOps, UnidentifiedImageError

SIDE = 512  # pixels of the long side: what vision models look at in low detail
QUALITY = 80


class UnreadablePhoto(Exception):
    """What was sent is no picture, or one of a kind that is not known here."""


def shrink_picture(photo: bytes) -> bytes:
    """A photo as a small upright JPEG without its metadata. UnreadablePhoto."""
    try:
        with Image.open(io.BytesIO(photo)) as opened:
            upright = ImageOps.exif_transpose(opened).convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise UnreadablePhoto("This is no picture that can be read: send a JPEG, PNG or WebP.") from error
    # One step at full quality; Pillow's draft mode would be quicker and lose detail.
    small = ImageOps.contain(upright, (SIDE, SIDE), Image.Resampling.LANCZOS)
    shrunk = io.BytesIO()
    small.save(shrunk, "JPEG", quality=QUALITY, optimize=True)
    return shrunk.getvalue()
