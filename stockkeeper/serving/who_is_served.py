"""Whether those that may be served are served safely, seen before anything starts."""

from typing import Protocol

from rpc.authorization.key_file import KeyFileError, read_keys
from rpc.authorization.token_check import check_token_keys
from rpc.authorization.token_settings import TokenError, TokenSettings
from rpc.transport.addresses import ListenError, is_loopback
from rpc.transport.certificates import Certificates, TlsError
from rpc.transport.tls_files import TlsFiles
from stockkeeper.config import ConfigurationError


class Door(Protocol):
    """What a server or a router is told of its callers."""

    @property
    def host(self) -> str: ...
    @property
    def tls(self) -> TlsFiles | None: ...
    @property
    def keys_file(self) -> str: ...
    @property
    def tokens(self) -> TokenSettings | None: ...
    @property
    def insecure_network(self) -> bool: ...


def see_who_is_served(door: Door) -> None:
    """Raises `ConfigurationError`: keys, tokens or certificates cannot be used, or others would be served in the
    clear.
    """
    try:
        if door.keys_file:
            read_keys(door.keys_file)
        if door.tokens is not None:
            check_token_keys(door.tokens)
        if door.tls is not None:
            Certificates(door.tls)
        elif not door.insecure_network and not is_loopback(door.host):
            raise ConfigurationError(
                f"Host {door.host} can be reached from other machines, and nothing is encrypted:"
                " give --tls-cert and --tls-key, or say --insecure-network."
            )
    except (KeyFileError, TokenError, TlsError, ListenError) as error:
        raise ConfigurationError(str(error)) from None
