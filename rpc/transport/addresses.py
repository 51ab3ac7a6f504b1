"""Where to listen: `localhost` means both of its addresses, and an address that is taken is found out before gRPC
is asked.

gRPC says of every failure to bind the same thing, with a stack trace of C++ on stderr; the operating system
names the cause.
"""

import errno
import socket
from collections.abc import Sequence
from typing import NamedTuple

LOCALHOST_V4, LOCALHOST_V6 = "127.0.0.1", "::1"
_ABSENT = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
_CAUSES = {
    errno.EADDRINUSE: "is in use, another server may be running there",
    errno.EACCES: "may not be used by this user",
    errno.EADDRNOTAVAIL: "is no address of this machine",
    errno.EAFNOSUPPORT: "is of a family that this machine does not have",
}


class ListenError(Exception):
    """The server cannot listen where it was told to. Its text is one sentence for the user."""


class Address(NamedTuple):
    """A numeric address to bind."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def free_addresses(host: str, port: int) -> Sequence[Address]:
    """The addresses that `host` stands for, all free a moment ago. It may ask a name server, and wait for it.

    Args:
        host: a name or a numeric address. `localhost` stands for 127.0.0.1 and, where there is IPv6, ::1.
        port: 0 chooses one that is free on all of the addresses.

    Raises:
        ListenError: there is no such host, or one of the addresses cannot be bound.
    """
    hosts = _hosts(host)
    for _ in range(20):
        try:
            return _probe(hosts, port)
        except _TakenByChanceError:
            continue
    raise ListenError(f"No port is free on all of {', '.join(hosts)}.")


def shared_addresses(host: str, port: int) -> tuple[Sequence[Address], Sequence[socket.socket]]:
    """The addresses that `host` stands for, to be listened on by several processes of this user with SO_REUSEPORT.

    The sockets hold them for as long as they are open: without listening, so that no connection comes to them. Others
    are kept off by that, but for a server that begins to share the same port in the same instant.

    Raises:
        ListenError: as `free_addresses`.
    """
    for _ in range(20):
        holders: list[socket.socket] = []
        addresses = free_addresses(host, port)
        try:
            for address in addresses:
                holders.append(_hold(address))
        except OSError as error:
            for holder in holders:
                holder.close()
            if port or error.errno != errno.EADDRINUSE:
                raise _listen_error(address, error) from error
        else:
            return addresses, holders
    raise ListenError(f"No port is free on host {host!r}.")


class _TakenByChanceError(Exception):
    """The port chosen on the first address is in use on another."""


def _hosts(host: str) -> Sequence[str]:
    if host == "localhost":
        return (LOCALHOST_V4, LOCALHOST_V6)
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ListenError(f"Cannot listen on host {host!r}: there is no such address.") from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _probe(hosts: Sequence[str], port: int) -> Sequence[Address]:
    """Bind every address and let it go again."""
    addresses: list[Address] = []
    for host in hosts:
        wanted = addresses[0].port if addresses else port
        try:
            addresses.append(Address(host, _bind(host, wanted)))
        except OSError as error:
            if host == LOCALHOST_V6 and addresses and error.errno in _ABSENT:
                continue  # the machine has no IPv6
            if port == 0 and error.errno == errno.EADDRINUSE and addresses:
                raise _TakenByChanceError from error
            raise _listen_error(Address(host, wanted), error) from error
        except OverflowError as error:
            raise ListenError(f"Port {port} does not exist, the last one is 65535.") from error
    return addresses


def _listen_error(address: Address, error: OSError) -> ListenError:
    cause = _CAUSES.get(error.errno or 0, f"cannot be bound: {error.strerror}")
    return ListenError(f"Cannot listen on {address}: the address {cause}.")


def _hold(address: Address) -> socket.socket:
    holder = _socket(address.host)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        holder.bind(address)
    except OSError:
        holder.close()
        raise
    return holder


def _socket(host: str) -> socket.socket:
    return socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)


def _bind(host: str, port: int) -> int:
    with _socket(host) as probe:
        # As gRPC sets it: connections of the last server that linger are no hindrance, a listening one is.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        return int(probe.getsockname()[1])
