"""A login bound to its TLS connection, message by message: what a server may say when, and that all else ends it."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from ssl import SSLObject
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from storage.sql.bound_login import MESSAGE_BYTES_MAX, BoundLogin, LoginRefused, message

asyncpg = pytest.importorskip("asyncpg")
scramp = pytest.importorskip("scramp")
bound_connection = pytest.importorskip("storage.sql.bound_connection")

OFFER = message(b"R", (10).to_bytes(4) + b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")
OK = message(b"R", (0).to_bytes(4))
CLEARTEXT = message(b"R", (3).to_bytes(4))
READY = message(b"Z", b"I")
PASSWORD = "s3cret"


class Shown(SSLObject):
    """A TLS connection whose other side has shown this certificate."""

    def __init__(self, der: bytes) -> None:  # without that of SSLObject, which makes none
        self.der = der

    def getpeercert(self, binary_form: bool = False) -> Any:
        return self.der if binary_form else {}


def certificate(key: Any, algorithm: Any, rsa_padding: Any = None) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return builder.sign(key, algorithm, rsa_padding=rsa_padding).public_bytes(Encoding.DER)


@cache
def usual() -> bytes:
    """What a server shows."""
    return certificate(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def signed_as(number: int) -> bytes:
    """A certificate whose signature is of a kind that is not made any more, by PKCS #1's number."""
    kinds = bytes.fromhex("2a864886f70d0101")
    return certificate(rsa_key(), hashes.SHA256()).replace(kinds + b"\x0b", kinds + bytes([number]))


class Server:
    """Postgres's side, and the transport to it."""

    def __init__(self, digest: bytes, password: str = PASSWORD) -> None:
        mechanism = scramp.ScramMechanism("SCRAM-SHA-256-PLUS")
        known = mechanism.make_auth_info(password)
        self._scram = mechanism.make_server(lambda _: known, channel_binding=("tls-server-end-point", digest))
        self.protocol: Any = None
        self.is_aborted = False
        self.heard: list[bytes] = []

    def get_extra_info(self, name: str) -> Any:
        return Shown(usual()) if name == "ssl_object" else None

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def write(self, data: bytes) -> None:
        self.heard.append(data)

    def writelines(self, data: Sequence[bytes]) -> None:
        self.heard.extend(data)

    def abort(self) -> None:
        self.is_aborted = True

    def challenge(self) -> bytes:
        """The answer to the first message."""
        body = self.heard[-1][5:]
        mechanism, _, rest = body.partition(b"\0")
        assert (self.heard[-1][:1], mechanism) == (b"p", b"SCRAM-SHA-256-PLUS")
        assert int.from_bytes(rest[:4]) == len(rest[4:])
        self._scram.set_client_first(rest[4:].decode())
        return message(b"R", (11).to_bytes(4) + self._scram.get_server_first().encode())

    def signature(self) -> bytes:
        """The answer to the second."""
        self._scram.set_client_final(self.heard[-1][5:].decode())
        return message(b"R", (12).to_bytes(4) + self._scram.get_server_final().encode())


class Driver:
    """asyncpg's protocol, of which this much is wanted."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.heard = b""
        self.lost: list[Exception | None] = []

    def data_received(self, data: bytes) -> None:
        self.heard += data
        if data == CLEARTEXT:
            self.transport.write(memoryview(message(b"p", PASSWORD.encode() + b"\0")))

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.append(error)


class Login:
    """Both sides, and what stands between them."""

    def __init__(self, password: str = PASSWORD) -> None:
        self.server = Server(hashlib.sha256(usual()).digest(), password)
        self.transport = bound_connection.LoginTransport(self.server)
        self.driver = Driver(self.transport)
        self.transport.set_protocol(self.driver)
        self.transport.write(b"the start")

    def says(self, said: bytes, size: int = 100_000) -> None:
        """The server says something, in pieces."""
        for at in range(0, len(said), size):
            self.server.protocol.data_received(said[at : at + size])

    def goes_to(self, stage: str) -> "Login":
        """Have it log in as far as this."""
        steps = [lambda: OFFER, self.server.challenge, self.server.signature, lambda: OK]
        step: Callable[[], bytes]
        for step in steps[: ["start", "offer", "challenge", "signature", "end"].index(stage)]:
            self.says(step())
        return self


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_login_that_is_over_leaves_nothing_between_the_two(size: int) -> None:
    login = Login()
    notice = message(b"N", b"Mhello\0\0")
    login.says(OFFER, size)
    login.says(notice + login.server.challenge(), size)
    assert not login.transport.is_bound
    login.says(login.server.signature() + OK + READY + READY[:2], size)
    login.server.protocol.data_received(READY[2:])
    assert login.transport.is_bound
    assert login.server.protocol is login.driver
    assert login.driver.heard == CLEARTEXT + notice + OK + READY * 2
    assert login.transport.write == login.server.write  # at no cost from here on
    login.transport.write(b"a")
    login.transport.writelines([b"b", b"c"])
    assert login.server.heard[0] == b"the start"
    assert login.server.heard[3:] == [b"a", b"b", b"c"]
    assert PASSWORD.encode() not in b"".join(login.server.heard)
    assert (repr(login.transport), login.server.is_aborted) == ("<LoginTransport <BoundLogin OK>>", False)


def request(number: int, content: bytes = b"") -> bytes:
    return message(b"R", number.to_bytes(4) + content)


@pytest.mark.parametrize(
    ("stage", "said", "sentence"),
    [
        ("start", OK + READY, "offers no SCRAM-SHA-256-PLUS"),
        ("start", CLEARTEXT, "offers no SCRAM-SHA-256-PLUS"),
        ("start", request(5, b"salt"), "offers no SCRAM-SHA-256-PLUS"),
        ("start", request(10, b"SCRAM-SHA-256\0\0"), "offers no SCRAM-SHA-256-PLUS"),
        ("start", request(10, b"xSCRAM-SHA-256-PLUS\0\0"), "offers no SCRAM-SHA-256-PLUS"),
        ("start", request(12, b"SCRAM-SHA-256-PLUS\0\0"), "offers no SCRAM-SHA-256-PLUS"),
        ("start", READY, "before the login is over"),
        ("start", message(b"S", b"a\0b\0"), "before the login is over"),
        ("start", message(b"R", b"\0\0\0"), "before the login is over"),
        ("start", b"R" + (3).to_bytes(4), "does not speak Postgres's protocol"),
        ("start", b"N" + (MESSAGE_BYTES_MAX + 1).to_bytes(4), "does not speak Postgres's protocol"),
        ("offer", OK, "does not prove"),
        ("offer", request(12, b"v=AAAA"), "does not prove"),
        ("offer", OFFER, "does not prove"),
        ("offer", READY, "before the login is over"),
        ("offer", request(11, b"r=another,s=AAAAAAAAAAAAAAAAAAAAAA==,i=4096"), "nonce doesn't match"),
        ("offer", request(11, b"\xff\xfe"), "Malformed server first message"),
        ("offer", request(11, b"e=other-error"), "returned an error"),
        ("challenge", OK, "does not prove"),
        ("challenge", request(11, b"r=x"), "does not prove"),
        ("challenge", READY, "before the login is over"),
        ("challenge", request(12, b"v=AAAA"), "signature doesn't match"),
        ("challenge", request(12, b"e=other-error"), "returned an error"),
        ("signature", OFFER, "does not prove"),
        ("signature", READY, "before the login is over"),
    ],
)
def test_a_server_that_goes_another_way_is_left(stage: str, said: bytes, sentence: str) -> None:
    login = Login().goes_to(stage)
    before = list(login.server.heard)
    login.driver.heard = b""
    login.says(said + OK + READY)
    assert login.driver.heard.startswith(b"E")
    assert login.driver.heard.endswith(b"\0\0")
    assert sentence in login.driver.heard.decode("latin-1")
    assert (login.server.is_aborted, login.server.heard, login.transport.is_bound) == (True, before, False)
    login.transport.connection_lost(None)
    assert login.driver.lost == [None]


def test_a_server_that_knows_another_password_does_not_get_the_proof_past() -> None:
    login = Login("another").goes_to("challenge")
    with pytest.raises(scramp.ScramException, match="proof"):
        login.server.signature()


def test_a_weak_challenge_is_refused() -> None:
    """A server in the middle that asks for one round could try passwords on the proof."""
    login = Login().goes_to("offer")
    challenge = login.server.challenge()[5 + 4 :].replace(b"i=4096", b"i=1")
    login.says(request(11, challenge))
    assert "must not be < 4096" in login.driver.heard.decode("latin-1")
    assert len(login.server.heard) == 2


def test_an_error_of_the_servers_is_passed_on() -> None:
    for stage in ("start", "offer", "challenge", "signature"):
        login = Login().goes_to(stage)
        error = message(b"E", b"SFATAL\0C28P01\0Mno\0\0")
        login.says(error)
        assert login.driver.heard.endswith(error)
        assert not login.transport.is_bound


@pytest.mark.parametrize(
    ("made", "digest"),
    [
        (lambda: certificate(ec.generate_private_key(ec.SECP384R1()), hashes.SHA384()), "sha384"),
        (lambda: certificate(rsa_key(), hashes.SHA512()), "sha512"),
        (lambda: certificate(rsa_key(), hashes.SHA256()), "sha256"),
        (lambda: signed_as(4), "sha256"),  # md5
        (lambda: signed_as(5), "sha256"),  # sha1
        (lambda: certificate(rsa_key(), hashes.SHA384(), padding.PSS(padding.MGF1(hashes.SHA384()), 48)), "sha384"),
    ],
)
def test_the_hash_is_that_of_the_certificates_signature(made: Callable[[], bytes], digest: str) -> None:
    der = made()
    login = BoundLogin(Shown(der))
    assert not login.hear(b"R", OFFER[5:]).to_server
    server = Server(hashlib.new(digest, der).digest())
    server.write(login.give_password(PASSWORD))
    server.write(login.hear(b"R", server.challenge()[5:]).to_server)
    login.hear(b"R", server.signature()[5:])
    login.hear(b"R", OK[5:])
    assert login.is_over


@pytest.mark.parametrize("der", [b"", b"no certificate"])
def test_a_certificate_without_a_hash_is_refused(der: bytes) -> None:
    login = BoundLogin(Shown(der))
    login.hear(b"R", OFFER[5:])
    with pytest.raises(LoginRefused, match="no login can be bound to the server's certificate"):
        login.give_password(PASSWORD)


def test_a_connection_that_was_not_bound_is_no_connection() -> None:
    unbound, unfinished = Server(b"x"), Login().goes_to("signature")
    for transport in (unbound, unfinished.transport):
        with pytest.raises(asyncpg.InterfaceError, match="this version of asyncpg"):
            bound_connection.BoundConnection(None, transport, None, None, None, None)
    assert unbound.is_aborted
    assert unfinished.server.is_aborted
