"""What the kernel tells of descriptors, beside what Python's own calls tell."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from rpc.transport import connection_watch
from rpc.transport.socket_facts import SocketFacts, SocketReader

pytestmark = pytest.mark.skipif(not connection_watch.HAS_TCP_INFO, reason="the system does not tell")


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket, socket.socket]]:
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        caller = stack.enter_context(socket.create_connection(listening.getsockname()))
        accepted, _ = listening.accept()
        yield listening, caller, stack.enter_context(accepted)


def test_it_tells_who_listens_and_how_much_has_come(
    sockets: tuple[socket.socket, socket.socket, socket.socket],
) -> None:
    listening, caller, accepted = sockets
    reader = SocketReader()
    caller.sendall(b"x" * 1000)
    assert accepted.recv(10)  # so that it has come
    found = [reader.of(one.fileno()) for one in sockets]
    assert [isinstance(one, SocketFacts) and one[1:] for one in found] == [(True, 0), (False, 0), (False, 1000)]
    assert len({one.cookie for one in found if one is not None}) == 3
    assert reader.of(listening.fileno()) == found[0]


def test_another_socket_of_the_same_number_has_another_cookie(
    sockets: tuple[socket.socket, socket.socket, socket.socket],
) -> None:
    listening, _, accepted = sockets
    reader = SocketReader()
    before = reader.of(accepted.fileno())
    with socket.create_connection(listening.getsockname()) as other:
        os.dup2(other.fileno(), accepted.fileno())
        after = reader.of(accepted.fileno())
    assert before is not None
    assert after is not None
    assert before.cookie != after.cookie


def test_what_is_no_tcp_socket_has_none() -> None:
    reader = SocketReader()
    with socket.socket(socket.AF_UNIX) as local, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        inside, outside = os.pipe()
        assert [reader.of(fd) for fd in (local.fileno(), datagrams.fileno(), inside, 100_000)] == [None] * 4
        os.close(inside)
        os.close(outside)
