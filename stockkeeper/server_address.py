"""How programs of ours that are clients of the server reach it: the commands, the relay and the consumer."""

import os
import re

import grpc
from stockkeeper_client import InventoryClient, tls_credentials

from stockkeeper.config import ConfigurationError, key_metadata

HTTPS = "https://"


class ServerAddress:
    """How the server is reached: with TLS if the target begins with https://.

    Then STOCKKEEPER_TLS_CA names a file with the certificates to trust. A server that asks for a certificate is shown
    the one that STOCKKEEPER_TLS_CERT and STOCKKEEPER_TLS_KEY name. STOCKKEEPER_KEY is the key that it asks for.

    Raises:
        ConfigurationError: the target is none, or a file cannot be used.
    """

    def __init__(self, target: str) -> None:
        is_encrypted = target.startswith(HTTPS)
        self.bare = target.removeprefix(HTTPS)
        self._address = parse_target(self.bare)
        self.credentials = _credentials() if is_encrypted else None

    def __repr__(self) -> str:
        return f"<ServerAddress {self._address} encrypted={self.credentials is not None}>"

    def client(self, timeout_s: float) -> InventoryClient:
        host, port = self._address
        return InventoryClient(
            host, port, timeout_s=timeout_s, breaker=False, credentials=self.credentials, metadata=key_metadata()
        )


def _credentials() -> grpc.ChannelCredentials:
    ca, certificate, key = [os.environ.get(f"STOCKKEEPER_TLS_{name}") or None for name in ("CA", "CERT", "KEY")]
    try:
        return tls_credentials(ca, certificate=certificate, key=key)
    except OSError as error:
        raise ConfigurationError(f"The file {error.filename} cannot be read: {error.strerror}.") from None
    except ValueError:
        text = "A certificate and its key go together: STOCKKEEPER_TLS_CERT and STOCKKEEPER_TLS_KEY."
        raise ConfigurationError(text) from None


def parse_target(target: str) -> tuple[str, int]:
    """The host and the port of `host:port`.

    Raises:
        ConfigurationError: it is none.
    """
    host, _, port = target.rpartition(":")
    if not host or not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65_535:
        raise ConfigurationError(f"The target must be host:port, with a port from 1 to 65535, not {target!r}.")
    return host.strip("[]"), int(port)
