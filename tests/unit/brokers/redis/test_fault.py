"""Every refusal of a server becomes an error of ours that says what to do."""

import ssl

import pytest
from redis import exceptions

from polypool.brokers.redis.fault import mapped, recognised
from polypool.core.error import EngineDamaged, EngineError, EngineFull, EngineUnreachable

INSIDE = "ERR Error running script (call to f_12): @user_script:8: @user_script: 8: "


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", EngineFull, "raise maxmemory"),
        (INSIDE + "-OOM command not allowed when used memory > 'maxmemory'.", EngineFull, "raise maxmemory"),
        (INSIDE + "-READONLY You can't write against a read only replica.", EngineUnreachable, "primary"),
        ("READONLY You can't write against a read only replica.", EngineUnreachable, "primary"),
        ("MISCONF Redis is configured to save RDB snapshots", EngineFull, "cannot save"),
        ("LOADING Redis is loading the dataset in memory", EngineUnreachable, "loading"),
        ("NOAUTH Authentication required.", EngineDamaged, "password"),
        ("WRONGPASS invalid username-password pair", EngineDamaged, "password"),
        ("NOPERM this user has no permissions", EngineDamaged, "docs/redis.md"),
        ("ERR max number of clients reached", EngineUnreachable, "maxclients"),
        ("ERR DB index is out of range", EngineDamaged, "database"),
        ("WRONGTYPE Operation against a key", EngineDamaged, "prefix"),
        ("CLUSTERDOWN Hash slot not served", EngineUnreachable, "cluster"),
        ("BUSY Redis is busy running a script", EngineUnreachable, "SCRIPT KILL"),
        ("ERR unknown command 'EVALSHA'", EngineDamaged, "docs/redis.md"),
    ],
)
def test_what_a_server_refuses_with_is_told_with_what_to_do(text: str, kind: type[EngineError], says: str) -> None:
    error = mapped(recognised(text), "redis://here")
    assert type(error) is kind
    assert says in str(error) and str(error).startswith("redis://here: ")


def test_a_moved_key_says_where_it_is() -> None:
    moved = recognised("MOVED 3999 10.0.0.1:6381")
    assert isinstance(moved, exceptions.MovedError)
    assert (moved.host, moved.port) == ("10.0.0.1", 6381)


def test_a_failed_handshake_is_told_from_a_server_that_is_down() -> None:
    error = exceptions.ConnectionError("no")
    error.__cause__ = ssl.SSLError("certificate verify failed")
    assert isinstance(mapped(error, "rediss://here"), EngineDamaged)
    assert isinstance(mapped(ConnectionRefusedError(111, "refused"), "redis://here"), EngineUnreachable)


def test_an_error_of_ours_stays_as_it_is() -> None:
    error = EngineFull("full")
    assert mapped(error, "redis://here") is error
