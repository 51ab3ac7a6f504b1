"""The first words on a link between a router and an owner: both say which version they are of.

What is said afterwards has no version of its own. A front-end is started by its owner and cannot be of another one; a
router can, and must not guess what the other side means.
"""

import asyncio
import socket
from importlib.metadata import version

GREETING_BYTES = 64
GREETED_WITHIN_S = 5.0


class OtherVersion(Exception):
    """The other side is of another version, or no part of this program. Its text says what it said."""


async def greet(other: socket.socket) -> None:
    """Say our version and hear the other side's, on a connected socket that does not block.

    Raises:
        OtherVersion: it is not ours.
        OSError: the connection broke, or nothing came.
    """
    loop, ours = asyncio.get_running_loop(), greeting()
    async with asyncio.timeout(GREETED_WITHIN_S):
        await loop.sock_sendall(other, ours)
        theirs = b""
        while len(theirs) < GREETING_BYTES:
            part = await loop.sock_recv(other, GREETING_BYTES - len(theirs))
            if not part:
                raise ConnectionResetError("the connection was closed")
            theirs += part
    if theirs != ours:
        raise OtherVersion(theirs.rstrip().decode("ascii", "replace"))


def greeting() -> bytes:
    return f"stockkeeper link {version('stockkeeper')}".encode().ljust(GREETING_BYTES)
