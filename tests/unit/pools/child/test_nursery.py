"""The process that children are forked from, at the end of its supervisor."""

import os
import socket

import pytest

from polypool.pools.child.nursery import Nursery


def test_a_supervisor_that_was_killed_with_words_unread_ends_its_template_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def leave(status: int) -> None:
        raise SystemExit(status)

    monkeypatch.setattr(os, "_exit", leave)
    ours, theirs = socket.socketpair()
    with ours:
        ours.sendall(b"a child was born, but nobody came to read it")
        theirs.close()
        with pytest.raises(SystemExit) as left:
            Nursery(ours, "app:app", ".")._read()
    assert left.value.code == 0
