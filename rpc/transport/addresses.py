"""Where to listen. gRPC gives the same error for every address that it cannot bind, and a C++ trace on stderr. So each
address is bound here first, where the operating system names the cause.
"""

import errno
import socket
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from ipaddress import ip_address
from typing import NamedTuple

LOCALHOST_V4, LOCALHOST_V6 = "127.0.0.1", "::1"
PORT_ATTEMPTS = 5  # to find one that is free on all addresses
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
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


def is_loopback(host: str) -> bool:
    """Whether all that `host` stands for can be reached from this machine alone. It may ask a name server.

    Raises:
        ListenError: there is no such host.
    """
    return all(ip_address(address.partition("%")[0]).is_loopback for address in _hosts(host))


def free_addresses(host: str, port: int) -> Sequence[Address]:
    """The addresses that `host` stands for, all free a moment ago. It may ask a name server, and wait for it.

    Args:
        host: a name or a numeric address. `localhost` stands for 127.0.0.1 and, where there is IPv6, ::1.
        port: 0 chooses one that is free on all of the addresses.

    Raises:
        ListenError: there is no such host, or one of the addresses cannot be bound.
    """
    sockets = _bind_all(_hosts(host), port)
    addresses = [Address(*bound.getsockname()[:2]) for bound in sockets]
    for bound in sockets:
        bound.close()
    return addresses


def bound_sockets(host: str, port: int) -> Sequence[socket.socket]:
    """A socket bound to each address that `host` stands for; none listens yet. The arguments are those above.

    Raises:
        ListenError: as `free_addresses`.
    """
    return _bind_all(_hosts(host), port)


def shared_addresses(host: str, port: int) -> tuple[Sequence[Address], Sequence[socket.socket]]:
    """The addresses that `host` stands for, to be listened on by several processes of this user with SO_REUSEPORT.

    The sockets hold the addresses for as long as they are open. They do not listen, so no connection comes to them. No
    other server gets the port, except one that begins to share it in the same instant.

    Raises:
        ListenError: as `free_addresses`.
    """
    addresses = free_addresses(host, port)  # another server that shares the port is found out here
    holders = _bind_all([address.host for address in addresses], addresses[0].port, is_shared=True)
    return addresses, holders


def _hosts(host: str) -> Sequence[str]:
    if host == "localhost":
        return (LOCALHOST_V4, LOCALHOST_V6)
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ListenError(f"Cannot listen on host {host!r}: there is no such address.") from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _bind_all(hosts: Sequence[str], port: int, *, is_shared: bool = False) -> Sequence[socket.socket]:
    """A socket bound to each address, all to one port."""
    if not 0 <= port <= 65_535:
        raise ListenError(f"Port {port} does not exist, the last one is 65535.")
    for _ in range(0 if port else PORT_ATTEMPTS):
        with suppress(ListenError):  # the port that was free on the first address may be in use on another
            return _try_to_bind_all(hosts, port, is_shared)
    return _try_to_bind_all(hosts, port, is_shared)


def _try_to_bind_all(hosts: Sequence[str], port: int, is_shared: bool) -> Sequence[socket.socket]:
    sockets: list[socket.socket] = []
    with ExitStack() as stack:
        for host in hosts:
            address = Address(host, sockets[0].getsockname()[1] if sockets else port)
            try:
                sockets.append(stack.enter_context(_bind(address, is_shared)))
            except OSError as error:
                if sockets and host == LOCALHOST_V6 and error.errno in _NO_IPV6:
                    continue
                cause = _CAUSES.get(error.errno or 0, f"cannot be bound: {error.strerror}")
                raise ListenError(f"Cannot listen on {address}: the address {cause}.") from error
        stack.pop_all()
    return sockets


def _bind(address: Address, is_shared: bool) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET, socket.SOCK_STREAM)
    # As gRPC sets it: connections of the last server that linger are no hindrance, a listening one is.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_shared:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        bound.bind(address)
    except BaseException:
        bound.close()
        raise
    return bound
