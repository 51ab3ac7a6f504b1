"""Brokers over TLS, with a certificate of the relay's own and a password that stands in no command."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from events.broker_port import BrokerLost
from events.brokers import BrokerOptions, broker_for
from events.envelope import Outgoing
from stockkeeper.broker_url import FILES, PASSWORD, PASSWORD_FILE, broker_url
from stockkeeper.config import ConfigurationError
from tests.authority import Authority
from tests.events.real_brokers import BrokerProcess, NatsServer, RabbitServer, running_broker

pytestmark = pytest.mark.anyio

SECRET = "gu/e:st@"
ONE = [Outgoing("id-1", "inventory.stock.updated", "org_1", "application/json", b"{}")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class TlsNats(NatsServer):
    """NATS that wants a password, and over TLS a certificate."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder, "nats")
        own = self.authority.files()
        files = ("--tlscert", own.certificate, "--tlskey", own.key, "--tlscacert", str(self.authority.file))
        super().__init__(folder, ("--user", "relay", "--pass", SECRET, "--tlsverify", *files))
        self.url = f"tls://relay@localhost:{self.port}"


@pytest.fixture(scope="module")
def nats_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsNats]:
    server = TlsNats(tmp_path_factory.mktemp("nats-tls"))
    server.start()
    yield server
    server.end()


def set_files(monkeypatch: pytest.MonkeyPatch, authority: Authority, *, is_known: bool = True) -> None:
    own = authority.files()
    monkeypatch.setenv("BROKER_TLS_CA", str(authority.file))
    monkeypatch.setenv("BROKER_TLS_CERT", own.certificate if is_known else "")
    monkeypatch.setenv("BROKER_TLS_KEY", own.key if is_known else "")


async def test_events_go_over_tls(
    rabbit: BrokerProcess, nats_tls: TlsNats, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert isinstance(rabbit, RabbitServer)
    (tmp_path / "password").write_text(f"{SECRET}\nanything\n")
    rabbit_url = f"amqps://guest@localhost:{rabbit.tls_port}/"
    for url, authority in ((rabbit_url, rabbit.authority), (nats_tls.url, nats_tls.authority)):
        set_files(monkeypatch, authority)
        monkeypatch.setenv(PASSWORD, "guest" if url == rabbit_url else "")
        monkeypatch.setenv(PASSWORD_FILE, str(tmp_path / "password"))
        broker = broker_for(broker_url(url), BrokerOptions())
        assert broker.name.rstrip("/") == url.rstrip("/")
        await broker.open()
        await broker.publish(ONE)
        await broker.close()

        if url == nats_tls.url:  # it wants a certificate
            set_files(monkeypatch, authority, is_known=False)
            with pytest.raises(BrokerLost):
                await broker_for(broker_url(url), BrokerOptions()).open()

        set_files(monkeypatch, Authority(tmp_path, "other"))
        with pytest.raises(BrokerLost, match="certificate"):
            await broker_for(broker_url(url), BrokerOptions()).open()


async def test_a_password_is_given_to_no_broker_without_tls_where_tls_is_asked_for(tmp_path: Path) -> None:
    server = NatsServer(tmp_path, ("--user", "relay", "--pass", SECRET, "-DV", "-l", str(tmp_path / "trace")))
    server.start()
    try:
        for user in ("relay:gu%2Fe%3Ast%40@", "secret-token@"):
            with pytest.raises(BrokerLost, match="offers no TLS"):
                await broker_for(f"tls://{user}localhost:{server.port}", BrokerOptions()).open()
        assert "CONNECT {" not in (tmp_path / "trace").read_text()
        plain = broker_for(f"nats://relay:gu%2Fe%3Ast%40@localhost:{server.port}", BrokerOptions())
        await plain.open()
        await plain.close()
        assert "CONNECT {" in (tmp_path / "trace").read_text()
    finally:
        server.end()
    with running_broker("nats", tmp_path / "open") as free, pytest.raises(BrokerLost, match="offers no TLS"):
        await broker_for(free.url.replace("nats:", "tls:"), BrokerOptions()).open()


def test_a_url_is_completed_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in (*FILES.values(), PASSWORD, PASSWORD_FILE):
        monkeypatch.delenv(variable, raising=False)
    assert broker_url("amqp://guest@a/") == "amqp://guest@a/"
    monkeypatch.setenv(PASSWORD, "a/b c")
    for given, expected in [
        ("", ""),
        ("amqp://guest@a:1/%2Fshop?heartbeat=5", "amqp://guest:a%2Fb%20c@a:1/%2Fshop?heartbeat=5"),
        ("nats://relay@[::1]:4222", "nats://relay:a%2Fb%20c@[::1]:4222"),
        ("nats://relay:own@a", "nats://relay:own@a"),
        ("amqp://a/", "amqp://a/"),
    ]:
        assert broker_url(given) == expected
    ca = tmp_path / "ca.pem"
    ca.write_text("")
    monkeypatch.setenv("BROKER_TLS_CA", str(ca))
    assert broker_url("amqps://a/?x=1") == f"amqps://a/?cafile={ca}&x=1"
    assert broker_url("amqp://a/") == "amqp://a/"
    monkeypatch.setenv("BROKER_TLS_CERT", str(ca))
    for url, variable, value, sentence in [
        ("tls://a", "", "", "go together"),
        ("tls://a", "BROKER_TLS_KEY", "/no/key", "The file /no/key cannot be read: No such file"),
        ("tls://[a", "", "", "URL is none"),
        ("nats://u@a", PASSWORD_FILE, "/no/password", "The file /no/password cannot be read"),
    ]:
        monkeypatch.setenv(PASSWORD, "")
        if variable:
            monkeypatch.setenv(variable, value)
        with pytest.raises(ConfigurationError, match=sentence):
            broker_url(url)


def test_the_names_of_brokers_have_neither_passwords_nor_tokens() -> None:
    for url in ("amqps://u:secret@a/?cafile=secret", "tls://u:secret@a?keyfile=secret", "nats://secret@a"):
        assert "secret" not in repr(broker_for(url, BrokerOptions()))
