"""The ways to a Redis server: TLS, sockets, users with few rights, replicas, and what is said where one is closed."""

import asyncio
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from polypool.brokers.open import open_engine
from polypool.core.error import EngineDamaged, EngineError, EngineUnreachable
from polypool.core.outcome import Done
from tests.conformance.scene import LANE, Scene, message
from tests.engines import redis
from tests.engines.ports import free_port

RIGHTS = ("+@all", "-@dangerous", "+info", "+config|get")
"""What docs/redis.md asks for."""


async def refusal(url: str) -> EngineError:
    engine = open_engine(url)
    with pytest.raises(EngineError) as caught:
        await engine.broker.open()
    await engine.broker.close()
    return caught.value


async def serves(url: str) -> None:
    """A task is brought to a waiting take and its end to a waiting client."""
    scene = Scene(url, time.time)
    await scene.engine.broker.open()
    await scene.join(lease=60.0)
    taking = asyncio.create_task(scene.engine.broker.take([LANE], 5, "w1", 20))
    await scene.put("a")
    [delivery] = await asyncio.wait_for(taking, 30)
    waiting = asyncio.create_task(scene.engine.results.wait(["a"], 20))
    assert await scene.settle(delivery, Done(b"\x2a"))
    assert [record.value for record in await asyncio.wait_for(waiting, 30)] == [b"\x2a"]
    await scene.engine.broker.close()


class Tls:
    """A server that speaks TLS for the name localhost, and the authority that says so."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.port = folder, free_port()
        _openssl(folder, "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.crt")
        for name, subject in (("server", "localhost"), ("client", "worker")):
            _openssl(folder, f"req -newkey rsa:2048 -nodes -subj /CN={subject} -keyout {name}.key -out {name}.csr")
            (folder / "names").write_text("subjectAltName=DNS:localhost\n")
            signing = f"x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile names"
            _openssl(folder, f"{signing} -out {name}.crt")
        files = ["--tls-cert-file", self.file("server.crt"), "--tls-key-file", self.file("server.key")]
        self.server = redis.Server(
            "--tls-port", str(self.port), *files, "--tls-ca-cert-file", self.file("ca.crt"), *options
        )

    def file(self, name: str) -> str:
        return str(self.folder / name)

    def url(self, host: str = "localhost", **options: str) -> str:
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"rediss://{host}:{self.port}?timeout=20&{query}"


def _openssl(folder: Path, words: str) -> None:
    subprocess.run([str(shutil.which("openssl")), *words.split()], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tls]:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make certificates with")
    made = Tls(tmp_path_factory.mktemp("tls"), "--tls-auth-clients", "optional")
    yield made
    made.server.remove()


@pytest.fixture
def server() -> Iterator[redis.Server]:
    made = redis.Server("--appendonly", "yes")
    yield made
    made.remove()


async def test_a_tls_server_whose_authority_is_named_is_used(tls: Tls) -> None:
    await serves(tls.url(ssl_ca_certs=tls.file("ca.crt"), prefix="named"))


async def test_a_worker_shows_its_own_certificate_where_the_server_wants_one(tls: Tls) -> None:
    known = {"ssl_ca_certs": tls.file("ca.crt"), "prefix": "shown"}
    with redis.client(tls.server.url) as admin:
        admin.config_set("tls-auth-clients", "yes")
        try:
            error = await refusal(tls.url(**known))
            assert isinstance(error, EngineDamaged | EngineUnreachable)
            shown = {"ssl_certfile": tls.file("client.crt"), "ssl_keyfile": tls.file("client.key")}
            await serves(tls.url(**known, **shown))
        finally:
            admin.config_set("tls-auth-clients", "optional")


async def test_a_certificate_that_nobody_vouches_for_is_refused(tls: Tls) -> None:
    error = await refusal(tls.url())
    assert isinstance(error, EngineDamaged)
    assert "ssl_ca_certs" in str(error) and "certificate" in str(error).lower()


async def test_a_certificate_for_another_name_is_refused_unless_names_are_not_looked_at(tls: Tls) -> None:
    known = {"ssl_ca_certs": tls.file("ca.crt"), "prefix": "nameless"}
    error = await refusal(tls.url("127.0.0.1", **known, ssl_check_hostname="true"))
    assert isinstance(error, EngineDamaged) and "certificate" in str(error).lower()
    await serves(tls.url("127.0.0.1", **known, ssl_check_hostname="false"))


async def test_a_plain_connection_to_a_tls_port_says_what_is_wrong(tls: Tls) -> None:
    error = await refusal(f"redis://127.0.0.1:{tls.port}?timeout=20")
    assert isinstance(error, EngineUnreachable)


async def test_a_unix_socket_is_used() -> None:
    # Not tmp_path: a socket's name may have 107 characters, and some machines keep temporary files far down.
    with tempfile.TemporaryDirectory(prefix="redis-", dir="/tmp") as folder:
        at = Path(folder, "redis.sock")
        server = redis.Server("--unixsocket", str(at))
        try:
            await serves(f"unix://{at}?prefix=socket")
            with redis.client(server.url) as admin:
                assert admin.exists("{socket}:task:a")
        finally:
            server.remove()
        error = await refusal(f"unix://{at}?timeout=5")
    assert isinstance(error, EngineUnreachable) and str(at) in str(error)


@pytest.mark.parametrize("said", ["5.0.14", "6.0.16", "6.1.9", "what"])
async def test_of_a_server_that_is_too_old_it_is_said_which_version_is_needed(said: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if line.strip() == b"INFO":
                info = f"# Server\r\nredis_version:{said}\r\nrole:master\r\n".encode()
                writer.write(b"$%d\r\n%s\r\n" % (len(info), info))
            elif line.strip() in (b"CLIENT", b"SELECT"):
                writer.write(b"+OK\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await refusal(f"redis://127.0.0.1:{port}?timeout=10")
    assert isinstance(error, EngineDamaged)
    assert said in str(error) and "6.2 or newer" in str(error)


async def test_a_user_with_the_rights_of_the_manual_has_enough(server: redis.Server) -> None:
    with redis.client(server.url) as admin:
        admin.execute_command("ACL", "SETUSER", "scan", "on", ">word", "~{scan}:*", "&{scan}:*", *RIGHTS)
        await serves(f"redis://scan:word@127.0.0.1:{server.port}?prefix=scan")
        error = await refusal(f"redis://scan:word@127.0.0.1:{server.port}?prefix=other")
        assert isinstance(error, EngineDamaged) and "rights" in str(error)
        error = await refusal(f"redis://scan:wrong@127.0.0.1:{server.port}?prefix=scan")
        assert isinstance(error, EngineDamaged) and "password" in str(error) and "wrong@" not in str(error)


@pytest.mark.parametrize("lacks", ["-@scripting", "-info", "-evalsha"])
async def test_a_user_without_a_right_that_is_needed_is_told_so_at_the_start(server: redis.Server, lacks: str) -> None:
    with redis.client(server.url) as admin:
        admin.execute_command("ACL", "SETUSER", "few", "on", ">word", "~*", "&*", "+@all", lacks)
    error = await refusal(f"redis://few:word@127.0.0.1:{server.port}")
    assert isinstance(error, EngineDamaged)
    assert "docs/redis.md" in str(error)


async def test_a_primary_that_becomes_a_replica_is_said_and_used_again_once_it_is_one_no_more(
    server: redis.Server,
) -> None:
    scene = Scene(server.url, time.time)
    try:
        await scene.engine.broker.open()
        await scene.join(lease=60.0)
        await scene.put("a")
        with redis.client(server.url) as admin:
            admin.config_set("replica-read-only", "yes")
            admin.execute_command("REPLICAOF", "127.0.0.1", str(free_port()))
            with pytest.raises(EngineUnreachable, match="replica"):
                await scene.put("b")
            error = await refusal(server.url)
            assert isinstance(error, EngineUnreachable) and "primary" in str(error)
            admin.execute_command("REPLICAOF", "NO", "ONE")
        await scene.put("b")
        assert sorted(delivery.id for delivery in await scene.take()) == ["a", "b"]
    finally:
        await scene.engine.broker.close()


async def test_after_everything_was_deleted_work_goes_on_with_what_is_sent_from_then_on(server: redis.Server) -> None:
    scene = Scene(server.url, time.time)
    await scene.engine.broker.open()
    await scene.join(lease=60.0)
    await scene.put("held", "waiting")
    held = await scene.take(1)
    taking = asyncio.create_task(scene.engine.broker.take([LANE], 5, "w2", 20))
    with redis.client(server.url) as admin:
        admin.flushall()
    taking.cancel()
    await asyncio.wait([taking])
    assert not await scene.settle(held[0]), "what it would end is gone"
    assert await scene.state("waiting") is None
    assert list(await scene.engine.results.wait(["held"], 0)) == []
    await scene.join(lease=60.0)  # the next heartbeat
    await scene.put("new")
    assert [delivery.id for delivery in await scene.take()] == ["new"]
    assert list(await scene.engine.broker.put([message("new")])) == [False]
    await scene.engine.broker.close()
