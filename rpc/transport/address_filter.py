"""Has the kernel drop what comes from some addresses to a socket that listens, before gRPC accepts a connection.

It is a filter of the socket itself, in the classic language of BPF (socket(7), SO_ATTACH_FILTER): no privilege is
needed, and nothing but this socket, and what is accepted from it, is touched. Of IPv6 a network of 64 bits counts as
one address, as one customer has all of it.
"""

import ctypes
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address

ADDRESSES_MAX = 100
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
OF_NETWORK_HEADER = 0xFFF00000  # SKF_NET_OFF
SOURCE_V4, SOURCE_V6 = OF_NETWORK_HEADER + 12, OF_NETWORK_HEADER + 8
LOAD_WORD, LOAD_BYTE, AND, EQUALS, GO, GIVE = 0x20, 0x30, 0x54, 0x15, 0x05, 0x06
ALL, NOTHING = 0xFFFFFFFF, 0

Instruction = tuple[int, int, int, int]
"""What to do; how many instructions to leave out if it is so, and if it is not; the operand."""


def drop_from(listening: socket.socket, addresses: Iterable[str]) -> None:
    """Drop what comes from these addresses, of the first hundred, and from no other any more.

    Raises:
        OSError: the kernel does not take it.
    """
    chosen = [ip_address(address.partition("%")[0]) for address in addresses][:ADDRESSES_MAX]
    if not chosen:
        with suppress(FileNotFoundError):
            listening.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
        return
    encoded = b"".join(struct.pack("=HBBI", *one) for one in _program(chosen))
    buffer = ctypes.create_string_buffer(encoded, len(encoded))
    program = struct.pack("@HP", len(encoded) // 8, ctypes.addressof(buffer))
    listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


def _program(addresses: list[IPv4Address | IPv6Address]) -> list[Instruction]:
    of_v4 = [one for address in addresses if address.version == 4 for one in _drop_v4(int(address))]
    of_v6 = [one for address in addresses if address.version == 6 for one in _drop_v6(int(address) >> 64)]
    v4 = [(LOAD_WORD, 0, 0, SOURCE_V4), *of_v4, (GIVE, 0, 0, ALL)]
    v6 = [*of_v6, (GIVE, 0, 0, ALL)]
    version = [(LOAD_BYTE, 0, 0, OF_NETWORK_HEADER), (AND, 0, 0, 0xF0), (EQUALS, 1, 0, 0x40), (GO, 0, 0, len(v4))]
    return [*version, *v4, *v6]


def _drop_v4(source: int) -> Iterator[Instruction]:
    yield EQUALS, 0, 1, source
    yield GIVE, 0, 0, NOTHING


def _drop_v6(network: int) -> Iterator[Instruction]:
    yield LOAD_WORD, 0, 0, SOURCE_V6
    yield EQUALS, 0, 3, network >> 32
    yield LOAD_WORD, 0, 0, SOURCE_V6 + 4
    yield EQUALS, 0, 1, network & 0xFFFFFFFF
    yield GIVE, 0, 0, NOTHING
