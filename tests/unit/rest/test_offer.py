"""What an app offers to others."""

from collections.abc import Callable
from typing import Any

import pytest

from polypool import Polypool
from polypool.core.error import ConfigurationError
from polypool.doors.fastapi import router
from polypool.doors.flask import blueprint
from polypool.web import asgi, routes


@pytest.mark.parametrize("face", [asgi, routes, blueprint, router])
def test_an_app_without_public_tasks_is_nothing_to_serve(face: Callable[[Polypool], Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"public=True"):
        face(Polypool("bare", broker="memory://"))
