"""Where routers reach an owner: a Unix socket with a name, for processes of the same user, or a port.

What goes over a port is encrypted, and both sides show a certificate. Without that it is for this machine alone.
"""

import os
import re
import socket
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from rpc.frontends.link_tls import LinkTls
from rpc.transport.addresses import ListenError, bound_sockets

SOCKET = "unix:"
BACKLOG = 100
KEEPALIVE = (("TCP_KEEPIDLE", 2), ("TCP_KEEPINTVL", 1), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 5_000))
_HOST_AND_PORT = re.compile(r"(\[[^\]]+\]|[^:]+):([0-9]{1,5})")


class PortStatistics(NamedTuple):
    """The port that an owner listens on; 0: none yet."""

    port: int


class LinkDoor(Protocol):
    """Where connections come in."""

    @property
    def tls(self) -> LinkTls | None:
        """What those who come are shown, and must show; None: nothing."""
        ...

    def open(self) -> Sequence[socket.socket]:
        """Listen. Raises `ListenError`."""
        ...

    def close(self) -> None:
        """Called when the sockets are closed."""
        ...


class UnixDoor:
    """A Unix socket with a name. One that a killed owner left is taken over: the database has one owner, and it is us.

    Args:
        path: of the socket.
    """

    tls: LinkTls | None = None

    def __init__(self, path: str) -> None:
        self._path = path
        self._made: tuple[int, int] | None = None

    def __repr__(self) -> str:
        return f"<UnixDoor {self._path}>"

    def statistics(self) -> bool:
        """Whether the socket is there, and is ours."""
        return self._made is not None and self._made == _identity(self._path)

    def open(self) -> Sequence[socket.socket]:
        try:
            _remove(self._path)
            bound = _bound(self._path)
        except OSError as error:
            raise ListenError(f"The socket {self._path} cannot be had: {error.strerror or error}.") from None
        self._made = _identity(self._path)
        return [bound]

    def close(self) -> None:
        if self.statistics():  # the next owner may have put its own there
            _remove(self._path)
        self._made = None


class PortDoor:
    """A port.

    Args:
        host: to listen on; localhost means IPv4 and IPv6.
        port: 0 chooses a free one.
        tls: None: this machine alone comes in, in the clear.
    """

    def __init__(self, host: str, port: int, tls: LinkTls | None) -> None:
        self._host = host
        self._port = port
        self._at = 0
        self.tls = tls

    def __repr__(self) -> str:
        return f"<PortDoor {self._host}:{self._at or self._port} {self.tls}>"

    def statistics(self) -> PortStatistics:
        return PortStatistics(self._at)

    def open(self) -> Sequence[socket.socket]:
        sockets = bound_sockets(self._host, self._port)
        self._at = sockets[0].getsockname()[1]
        for one in sockets:
            one.setblocking(False)
            one.listen(BACKLOG)
        return sockets

    def close(self) -> None:
        self._at = 0


def host_and_port(address: str) -> tuple[str, int]:
    """The parts of host:port; an address of IPv6 stands in brackets. Raises `ValueError`: it is no such thing."""
    found = _HOST_AND_PORT.fullmatch(address)
    if found is None or int(found[2]) > 65_535:
        raise ValueError(f"{address!r} must be host:port")
    return found[1].strip("[]"), int(found[2])


def watch_peer(connection: socket.socket) -> None:
    """Have the kernel give a connection up whose other side is gone without a word for some seconds."""
    if connection.family == socket.AF_UNIX:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in KEEPALIVE:
        option = getattr(socket, name, None)  # Linux has all of them
        if option is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


def _identity(path: str) -> tuple[int, int] | None:
    with suppress(OSError):
        found = Path(path).stat()
        return found.st_dev, found.st_ino
    return None


def _remove(path: str) -> None:
    with suppress(OSError):
        if stat.S_ISSOCK(Path(path).stat().st_mode):
            Path(path).unlink()


def _bound(path: str) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)  # no process of another user may connect, from the first moment on
    try:
        listening.bind(path)
    except OSError:
        listening.close()
        raise
    finally:
        os.umask(before)
    listening.setblocking(False)
    listening.listen(BACKLOG)
    return listening
