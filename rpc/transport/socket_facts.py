"""What the kernel knows of the socket behind a descriptor, without giving up Python's lock.

`os.fstat` and `os.listdir` give it up, the latter for each name, and beside a busy event loop a thread gets it back
after 5 ms: a look at 45 descriptors, 50 times a second, cost reservations 2 %. Two calls of getsockopt(2) through
`ctypes.PyDLL` take 2 us and keep the lock.
"""

import socket
import struct
from ctypes import PyDLL, addressof, c_int, c_uint32, c_void_p, create_string_buffer
from typing import NamedTuple

SO_COOKIE = 57  # since Linux 4.6; <asm-generic/socket.h>
COOKIE_BYTES = 8
INFO_BYTES, RECEIVED_AT = 136, 128  # of struct tcp_info, and where tcpi_bytes_received stands in it
LISTENING = 10  # TCP_LISTEN, the first byte of tcp_info


class SocketFacts(NamedTuple):
    """Of a TCP socket.

    Args:
        cookie: its number in the kernel, which no other socket ever has.
    """

    cookie: int
    is_listening: bool
    received_bytes: int


class SocketReader:
    """Reads them. It belongs to one thread, since its buffers are used again and again."""

    def __init__(self) -> None:
        self._getsockopt = PyDLL(None).getsockopt
        self._getsockopt.argtypes = (c_int, c_int, c_int, c_void_p, c_void_p)
        self._cookie, self._info = create_string_buffer(COOKIE_BYTES), create_string_buffer(INFO_BYTES)
        self._length = c_uint32()
        self._at = addressof(self._cookie), addressof(self._info), addressof(self._length)

    def __repr__(self) -> str:
        return "<SocketReader>"

    def of(self, fd: int) -> SocketFacts | None:
        """None: there is no TCP socket behind it."""
        cookie_at, info_at, length_at = self._at
        self._length.value = INFO_BYTES
        if self._getsockopt(fd, socket.IPPROTO_TCP, socket.TCP_INFO, info_at, length_at):
            return None
        self._length.value = COOKIE_BYTES
        if self._getsockopt(fd, socket.SOL_SOCKET, SO_COOKIE, cookie_at, length_at):
            return None
        [cookie] = struct.unpack("=Q", self._cookie)
        [received_bytes] = struct.unpack_from("=Q", self._info, RECEIVED_AT)
        return SocketFacts(cookie, self._info[0] == bytes([LISTENING]), received_bytes)
