"""A child's end, in words."""

import pytest

from polypool.pools.template import why_exited


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "exited with status 0 (os._exit or sys.exit)"),
        (3, "exited with status 3 (os._exit or sys.exit)"),
        (-11, "killed by SIGSEGV"),
        (-9, "killed by SIGKILL (the out-of-memory killer, or somebody)"),
        (-62, "killed by signal 62"),
    ],
)
def test_the_end_of_a_child_is_told_in_words(status: int, words: str) -> None:
    assert why_exited(status) == words
