"""What the kernel knows of the sockets behind descriptors, and their end, without giving up Python's lock.

`os.dup`, `os.listdir` and the methods of a socket give it up, `listdir` for each name, and beside a busy event loop a
thread gets it back after 5 ms. To look at 45 descriptors 50 times a second that way cost reservations 2 %, and to cut
off twelve connections took 150 ms, in which their floods went on. Calls through `ctypes.PyDLL` keep the lock; each of
those here takes microseconds, since none of them waits.
"""

import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import (
    PyDLL,
    addressof,
    c_char_p,
    c_int,
    c_size_t,
    c_ssize_t,
    c_uint32,
    c_void_p,
    create_string_buffer,
    string_at,
)
from typing import NamedTuple

FDS = b"/proc/self/fd"
SO_COOKIE = 57  # since Linux 4.6; <asm-generic/socket.h>
COOKIE_BYTES = 8
INFO_BYTES, RECEIVED_AT = 136, 128  # of struct tcp_info, and where tcpi_bytes_received stands in it
LISTENING = 10  # TCP_LISTEN, the first byte of tcp_info
NAME_AT = 19 if sys.maxsize > 1 << 32 else 11  # where d_name stands in struct dirent
ADDRESS_BYTES = 28  # of struct sockaddr_in6, the longest that there is of TCP
DISCARDED_AT_ONCE = 1 << 30  # more than a socket may have


class SocketFacts(NamedTuple):
    """Of a TCP socket.

    Args:
        cookie: its number in the kernel, which no other socket ever has.
    """

    cookie: int
    is_listening: bool
    received_bytes: int


class Ends(NamedTuple):
    """Of a connection: the port at this end, and who is at the other."""

    own_port: int
    host: str
    port: int


class SocketCalls:
    """Calls of the kernel. It belongs to one thread, since its buffers are used again and again."""

    def __init__(self) -> None:
        kernel = PyDLL(None)
        self._dup, self._close, self._shutdown = kernel.dup, kernel.close, kernel.shutdown
        self._recv = kernel.recv
        self._recv.argtypes, self._recv.restype = (c_int, c_void_p, c_size_t, c_int), c_ssize_t
        self._getsockname, self._getpeername = kernel.getsockname, kernel.getpeername
        self._getsockname.argtypes = self._getpeername.argtypes = (c_int, c_void_p, c_void_p)
        self._getsockopt = kernel.getsockopt
        self._getsockopt.argtypes = (c_int, c_int, c_int, c_void_p, c_void_p)
        self._opendir, self._readdir, self._closedir = kernel.opendir, kernel.readdir, kernel.closedir
        self._opendir.argtypes, self._opendir.restype = (c_char_p,), c_void_p
        self._readdir.argtypes, self._readdir.restype = (c_void_p,), c_void_p
        self._closedir.argtypes = (c_void_p,)
        self._cookie, self._info = create_string_buffer(COOKIE_BYTES), create_string_buffer(INFO_BYTES)
        self._address = create_string_buffer(ADDRESS_BYTES)
        self._length = c_uint32()
        self._at = addressof(self._cookie), addressof(self._info), addressof(self._length)

    def __repr__(self) -> str:
        return "<SocketCalls>"

    def descriptors(self) -> list[int]:
        """All that the process has."""
        directory = self._opendir(FDS)
        if not directory:
            return []
        names = []
        while entry := self._readdir(directory):
            names.append(string_at(entry + NAME_AT))
        self._closedir(directory)
        return [int(name) for name in names if name.isdigit()]

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

    @contextmanager
    def held(self, fd: int, cookie: int) -> Iterator[int | None]:
        """A descriptor of our own for a socket; None if this one is another's by now."""
        own = self._dup(fd)
        try:
            facts = self.of(own)
            yield own if facts is not None and facts.cookie == cookie else None
        finally:
            if own >= 0:
                self._close(own)

    def ends_of(self, own: int) -> Ends | None:
        """None: it is over. The host is empty where there is no other end."""
        address_at, length_at = addressof(self._address), self._at[2]
        self._length.value = ADDRESS_BYTES
        if self._getsockname(own, address_at, length_at):
            return None
        _, own_port = self._address_found()
        self._length.value = ADDRESS_BYTES
        if self._getpeername(own, address_at, length_at):
            return Ends(own_port, "", 0)
        return Ends(own_port, *self._address_found())

    def end(self, own: int) -> None:
        """End a connection, and throw away what it has received and was not read: its reader would read that still.

        Nothing is copied for it (MSG_TRUNC, tcp(7)).
        """
        self._shutdown(own, socket.SHUT_RDWR)
        while self._recv(own, None, DISCARDED_AT_ONCE, socket.MSG_TRUNC | socket.MSG_DONTWAIT) > 0:
            pass

    def _address_found(self) -> tuple[str, int]:
        raw = self._address.raw
        [family] = struct.unpack_from("=H", raw)
        [port] = struct.unpack_from(">H", raw, 2)
        if family == socket.AF_INET:
            return socket.inet_ntop(family, raw[4:8]), port
        if family != socket.AF_INET6:
            return "", 0
        [scope] = struct.unpack_from("=I", raw, 24)
        host = socket.inet_ntop(family, raw[8:24])
        return (f"{host}%{socket.if_indextoname(scope)}" if scope else host), port
