"""Make a photo small enough for a vision model; the CPU-heavy part of the pipeline."""

import io

from PIL import Image, ImageOps

SIDE = 512  # pixels of the long side: what vision models look at in low detail
QUALITY = 80


def shrink_picture(photo: bytes) -> bytes:
    """A photo as a small upright JPEG without its metadata."""
    with Image.open(io.BytesIO(photo)) as opened:
        upright = ImageOps.exif_transpose(opened).convert("RGB")
    # One step at full quality; Pillow's draft mode would be quicker and lose detail.
    small = ImageOps.contain(upright, (SIDE, SIDE), Image.Resampling.LANCZOS)
    shrunk = io.BytesIO()
    small.save(shrunk, "JPEG", quality=QUALITY, optimize=True)
    return shrunk.getvalue()
