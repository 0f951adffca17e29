"""Failure: an exception as text that can leave its process."""

import traceback
from pathlib import Path
from types import TracebackType

from polypool.core.outcome import Failure

LONGEST_TEXT = 16 * 1024
LONGEST_TRACEBACK = 64 * 1024
_OURS = str(Path(__file__).parent)


def failure(error: BaseException) -> Failure:
    """Class, text and traceback; the frames of this package that led to the user's code are left out."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return Failure(name, _encodable(_shortened(_text(error), LONGEST_TEXT)), _encodable(_traceback(error)))


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return f"<{type(error).__qualname__} whose text cannot be had>"


def _traceback(error: BaseException) -> str:
    try:
        lines = traceback.format_exception(type(error), error, trimmed(error.__traceback__))
    except Exception:
        return ""
    return _shortened("".join(lines), LONGEST_TRACEBACK)


def _shortened(text: str, longest: int) -> str:
    """Its beginning and its end."""
    if len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n  … {len(text) - 2 * half} characters left out …\n{text[-half:]}"


def trimmed(trace: TracebackType | None) -> TracebackType | None:
    """The traceback from the first frame on that is not ours; all of it if none is."""
    found = trace
    while found is not None and found.tb_frame.f_code.co_filename.startswith(_OURS):
        found = found.tb_next
    return found or trace


def _encodable(text: str) -> str:
    """Lone surrogates, as file names may hold, have no UTF-8 form."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
