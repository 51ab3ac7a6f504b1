"""A login to Postgres by SCRAM-SHA-256-PLUS, which proves to each side that the other knows the password and sees the
same TLS connection: one that ends in the middle, at a certificate that is not the server's, has another hash.

asyncpg knows no such login. This one stands between the server and asyncpg until it is over: to the server it is the
client, and to asyncpg it is a server that asks for a password in clear, which goes no further than here. So asyncpg
finds the password, wherever it is, and no part of it is reached into.

It is a list of what may come next, and refuses all else. A server that skips a step has not proved anything.

https://www.postgresql.org/docs/current/sasl-authentication.html, RFC 5802 and 7677; for the hash RFC 5929, section 4.
"""

from enum import Enum, IntEnum, auto
from ssl import SSLObject
from typing import Any

from msgspec import Struct

MECHANISM = "SCRAM-SHA-256-PLUS"
# Postgres knows the user from the connection's start, and ignores this one, which SCRAM wants to be something.
USER = "*"
# An error, a notice, a version of the protocol that the server does not know: asyncpg knows what to do.
PASSED_ON = (b"E", b"N", b"v")
MESSAGE_BYTES_MAX = 30_000  # as for libpq


class LoginRefused(Exception):
    """The server does not log in as it has to, in a sentence."""


class Said(Struct, frozen=True):
    """What follows from a message."""

    to_server: bytes = b""
    to_driver: bytes = b""


class Request(IntEnum):
    """What a server asks for, by Postgres's numbers."""

    OK = 0
    CLEARTEXT = 3
    SASL = 10
    SASL_CONTINUE = 11
    SASL_FINAL = 12


class Stage(Enum):
    """What was heard last."""

    NOTHING = auto()
    OFFER = auto()
    PASSWORD = auto()
    CHALLENGE = auto()
    SIGNATURE = auto()
    OK = auto()


class BoundLogin:
    """What the client says, message by message.

    Args:
        tls: the connection, whose certificate the login is bound to.
    """

    def __init__(self, tls: SSLObject) -> None:
        self._tls = tls
        self._stage = Stage.NOTHING
        self._client: Any = None  # a scramp.ScramClient

    def __repr__(self) -> str:
        return f"<BoundLogin {self._stage.name}>"

    @property
    def wants_password(self) -> bool:
        """The driver was asked for it."""
        return self._stage is Stage.OFFER

    @property
    def is_over(self) -> bool:
        """The server has proved that it knows the password and sees this connection, and has let us in."""
        return self._stage is Stage.OK

    def hear(self, kind: bytes, body: bytes) -> Said:
        """Take a message of the server's.

        Raises:
            LoginRefused: it is none that may come now.
        """
        assert not self.is_over
        if kind in PASSED_ON:
            return Said(to_driver=message(kind, body))
        code, content = int.from_bytes(body[:4]), body[4:]
        if kind != b"R" or len(body) < 4:
            raise LoginRefused("the server goes on before the login is over, which channel_binding=require forbids")
        match self._stage, code:
            case Stage.NOTHING, _:
                return self._hear_offer(code, content)
            case Stage.PASSWORD, Request.SASL_CONTINUE:
                return self._hear_challenge(content.decode("utf-8", "replace"))
            case Stage.CHALLENGE, Request.SASL_FINAL:
                return self._hear_signature(content.decode("utf-8", "replace"))
            case Stage.SIGNATURE, Request.OK:
                self._stage = Stage.OK
                return Said(to_driver=message(kind, body))
        raise LoginRefused("the server does not prove that it knows the password, as channel_binding=require wants")

    def give_password(self, password: str) -> bytes:
        """Take what the driver knows, and begin. Returns what goes to the server.

        Raises:
            LoginRefused: it is not possible with this password, or with the server's certificate.
        """
        from scramp import ScramClient, ScramException  # type: ignore[import-untyped]

        if not password:
            raise LoginRefused("channel_binding=require needs a password, and none was given")
        binding = ("tls-server-end-point", self._tls)
        try:
            self._client = ScramClient([MECHANISM], USER, "", channel_binding=binding)
        except ScramException as error:
            raise LoginRefused(f"no login can be bound to the server's certificate: {error.args[0]}") from error
        self._client.password = _prepared(password)
        self._stage = Stage.PASSWORD
        first = self._client.get_client_first().encode()
        return message(b"p", MECHANISM.encode() + b"\0" + len(first).to_bytes(4) + first)

    def _hear_offer(self, code: int, content: bytes) -> Said:
        if code != Request.SASL or MECHANISM.encode() not in content.split(b"\0"):
            raise LoginRefused(f"the server offers no {MECHANISM}, which channel_binding=require asks for")
        self._stage = Stage.OFFER
        return Said(to_driver=message(b"R", Request.CLEARTEXT.to_bytes(4)))

    def _hear_challenge(self, content: str) -> Said:
        self._call("set_server_first", content)
        self._stage = Stage.CHALLENGE
        return Said(to_server=message(b"p", self._call("get_client_final").encode()))

    def _hear_signature(self, content: str) -> Said:
        self._call("set_server_final", content)
        self._stage = Stage.SIGNATURE
        return Said()

    def _call(self, name: str, *arguments: str) -> Any:
        from scramp import ScramException

        try:
            return getattr(self._client, name)(*arguments)
        except ScramException as error:
            raise LoginRefused(f"the server does not log in as {MECHANISM} has it: {error.args[0]}") from error


def message(kind: bytes, body: bytes) -> bytes:
    """A message of Postgres's protocol."""
    return kind + (len(body) + 4).to_bytes(4) + body


def take_message(heard: bytearray) -> tuple[bytes, bytes] | None:
    """Take a message from what has come, if it has come as a whole: its kind and its content.

    Raises:
        LoginRefused: it is longer than any of a login.
    """
    if len(heard) < 5:
        return None
    length = int.from_bytes(heard[1:5])
    if not 4 <= length <= MESSAGE_BYTES_MAX:
        raise LoginRefused("the server does not speak Postgres's protocol")
    if len(heard) < 1 + length:
        return None
    kind, body = bytes(heard[:1]), bytes(heard[5 : 1 + length])
    del heard[: 1 + length]
    return kind, body


def refusal(sentence: str) -> bytes:
    """The message by which a server would say that it refuses a login: the driver raises it."""
    fields = {"S": "FATAL", "V": "FATAL", "C": "28000", "M": sentence}
    return message(b"E", b"".join(f"{name}{value}".encode() + b"\0" for name, value in fields.items()) + b"\0")


def _prepared(password: str) -> bytes:
    """The password as Postgres has it: by SASLprep, and as it is where that forbids it."""
    from scramp import ScramException
    from scramp.utils import saslprep  # type: ignore[import-untyped]

    try:
        return (saslprep(password) or password).encode()
    except ScramException:
        return password.encode()
