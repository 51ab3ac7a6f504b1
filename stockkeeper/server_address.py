"""How a command reaches the server: where it is, what it trusts, and as whom it calls.

A target that begins with https:// is reached with TLS. Then STOCKKEEPER_TLS_CA names a file with the certificates to
trust. A server that asks for a certificate is shown the one that STOCKKEEPER_TLS_CERT and STOCKKEEPER_TLS_KEY name.

STOCKKEEPER_KEY is the key that the server asks for (in an argument others could read it), or STOCKKEEPER_TOKEN_FILE
names a file with the token of now, which another program may renew. Neither is sent to another machine without TLS,
unless STOCKKEEPER_INSECURE_NETWORK=1 says so.
"""

import os
import re
from typing import TYPE_CHECKING

import grpc
from stockkeeper_client import InventoryClient, TokenFile, tls_credentials
from stockkeeper_client.bearer import GivesToken, token_source

from stockkeeper.config import ConfigurationError

if TYPE_CHECKING:
    from events.server_feed import ServerFeed

HTTPS = "https://"


class ServerAddress:
    """A server, and what its callers need.

    Args:
        is_here: it is on this machine, also where its address does not say so.

    Raises:
        ConfigurationError: the target is none, or a file cannot be used.
    """

    def __init__(self, target: str, *, is_here: bool = False) -> None:
        is_encrypted = target.startswith(HTTPS)
        self._target = target.removeprefix(HTTPS)
        self._address = _parse(self._target)
        self._credentials = _credentials() if is_encrypted else None
        self._token = _token(self._target, self._credentials, is_here)

    def __repr__(self) -> str:
        return f"<ServerAddress {self._target} encrypted={self._credentials is not None}>"

    def client(self, timeout_s: float) -> InventoryClient:
        """Belongs to the event loop of its first call."""
        host, port = self._address
        return InventoryClient(
            host,
            port,
            timeout_s=timeout_s,
            breaker=False,
            credentials=self._credentials,
            token=self._token,
            token_over_plaintext=True,  # `_token` has asked
        )

    def feed(self) -> "ServerFeed":
        """What relays read. It belongs to the running event loop."""
        from events.server_feed import ServerFeed

        return ServerFeed(self._target, self._credentials, self._token)


def _parse(target: str) -> tuple[str, int]:
    host, _, port = target.rpartition(":")
    if not host or not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65_535:
        raise ConfigurationError(f"The target must be host:port, with a port from 1 to 65535, not {target!r}.")
    return host.strip("[]"), int(port)


def _credentials() -> grpc.ChannelCredentials:
    ca, certificate, key = [os.environ.get(f"STOCKKEEPER_TLS_{name}") or None for name in ("CA", "CERT", "KEY")]
    try:
        return tls_credentials(ca, certificate=certificate, key=key)
    except OSError as error:
        raise ConfigurationError(f"The file {error.filename} cannot be read: {error.strerror}.") from None
    except ValueError:
        text = "A certificate and its key go together: STOCKKEEPER_TLS_CERT and STOCKKEEPER_TLS_KEY."
        raise ConfigurationError(text) from None


def _token(target: str, credentials: grpc.ChannelCredentials | None, is_here: bool) -> GivesToken | None:
    key, file = os.environ.get("STOCKKEEPER_KEY", ""), os.environ.get("STOCKKEEPER_TOKEN_FILE", "")
    if key and file:
        raise ConfigurationError("Give STOCKKEEPER_KEY or STOCKKEEPER_TOKEN_FILE, and not both.")
    given: str | GivesToken | None = _read(file) if file else key or None
    is_asked_for = is_here or os.environ.get("STOCKKEEPER_INSECURE_NETWORK") == "1"
    try:
        return token_source(given, target, credentials, over_plaintext=is_asked_for)
    except ValueError:
        raise ConfigurationError(
            f"The key is not sent to {target} without TLS, where others can read it: use --target https://{target},"
            " or say STOCKKEEPER_INSECURE_NETWORK=1."
        ) from None


def _read(path: str) -> TokenFile:
    file = TokenFile(path)
    try:
        file()
    except OSError as error:
        raise ConfigurationError(f"The file {path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise ConfigurationError(f"The file {path} has no token.") from None
    return file
