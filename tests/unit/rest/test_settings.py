"""What can be set of a gateway, and what is refused."""

from typing import Any

import pytest

from polypool.core.error import ConfigurationError, UnknownOption
from polypool.rest.settings import Rate, WebSettings, settings_of


def test_what_is_not_said_keeps_its_default() -> None:
    assert settings_of({}) == WebSettings()


def test_what_is_said_is_taken() -> None:
    made = settings_of({"tokens": ["0123456789abcdef"], "rate": "600/m", "ping": 5, "grace": 0})
    assert made == WebSettings(("0123456789abcdef",), Rate(600, 60.0), ping=5.0, grace=0.0)


@pytest.mark.parametrize(
    "given",
    [
        {"tokens": ["short"]},
        {"tokens": ["with a space 0123456789"]},
        {"tokens": "0123456789abcdef"},
        {"tokens": [None]},
        {"rate": "fast"},
        {"rate": "0/s"},
        {"rate": 5},
        {"body_bytes": 0},
        {"body_bytes": 1 << 40},
        {"body_bytes": True},
        {"ping": 0},
        {"grace": -1},
        {"longest_wait": float("inf")},
        {"longest_wait": "30"},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(given)).rstrip("s")):
        settings_of(given)


def test_an_unknown_option_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownOption, match="did you mean tokens"):
        settings_of({"token": []})
