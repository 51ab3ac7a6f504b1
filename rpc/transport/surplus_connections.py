"""Ends connections, which gRPC gives a server no way to do: the sockets are found among the descriptors of the process.

It works on Linux, and does nothing elsewhere.
"""

import os
import socket
from collections.abc import Collection
from contextlib import suppress

from anyio.lowlevel import checkpoint

FDS = "/proc/self/fd"
LOOKED_AT_ONCE = 100  # 1 ms; then others have a turn


async def cut_off(peers: Collection[str]) -> int:
    """End these connections, as gRPC writes who is at their other end. Returns how many there were.

    A thread would take a hundred times as long while the event loop is busy: each look at a descriptor gives up
    Python's lock.
    """
    cut = 0
    with suppress(FileNotFoundError):
        for number, name in enumerate(os.listdir(FDS), 1):  # noqa: PTH208 - no objects for ten thousand
            cut += _is_cut_off(int(name), peers)
            if number % LOOKED_AT_ONCE == 0:
                await checkpoint()
    return cut


def _is_cut_off(fd: int, peers: Collection[str]) -> bool:
    try:
        own = os.dup(fd)  # `fd` may be another connection's at any moment
    except OSError:  # it was closed meanwhile
        return False
    try:
        other = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, fileno=own)  # for both families
    except OSError:  # it is no socket
        os.close(own)
        return False
    with other, suppress(OSError, ValueError):  # it listens, or is of another family
        host, port = other.getpeername()[:2]
        if peer_of(host, port) in peers:
            other.shutdown(socket.SHUT_RDWR)
            return True
    return False


def peer_of(host: str, port: int) -> str:
    """As gRPC writes it.

    >>> peer_of("::ffff:127.0.0.1", 80), peer_of("::1", 80)
    ('ipv4:127.0.0.1:80', 'ipv6:%5B::1%5D:80')
    """
    host = host.removeprefix("::ffff:")
    return f"ipv6:%5B{host}%5D:{port}" if ":" in host else f"ipv4:{host}:{port}"
