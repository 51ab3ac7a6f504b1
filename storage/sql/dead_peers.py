"""Connections to a Postgres that is not there any more: its machine has no power, or the network is cut.

No end is told then, and Linux sends again for a quarter of an hour. So the kernel gives a connection up after 5 s
without an acknowledgement. A Postgres that is stopped or slow acknowledges, and is waited for.
"""

import os
import socket

import asyncpg  # type: ignore[import-untyped]

KEEPALIVE = (("TCP_KEEPIDLE", 2), ("TCP_KEEPINTVL", 1), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 5_000))


def notice_a_dead_peer(connection: asyncpg.Connection) -> asyncpg.Connection:
    """Have the kernel end a connection whose other side is gone. Returns it."""
    found = connection._transport.get_extra_info("socket")
    if found is None or found.family not in (socket.AF_INET, socket.AF_INET6):
        return connection
    with socket.socket(fileno=os.dup(found.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in KEEPALIVE:
            if (option := getattr(socket, name, None)) is not None:
                same.setsockopt(socket.IPPROTO_TCP, option, value)
    return connection
