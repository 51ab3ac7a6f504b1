"""What the kernel tells of descriptors, beside what Python's own calls tell."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from rpc.transport import connection_watch
from rpc.transport.socket_facts import SocketCalls, SocketFacts

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
    reader = SocketCalls()
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
    reader = SocketCalls()
    before = reader.of(accepted.fileno())
    with socket.create_connection(listening.getsockname()) as other:
        os.dup2(other.fileno(), accepted.fileno())
        after = reader.of(accepted.fileno())
    assert before is not None
    assert after is not None
    assert before.cookie != after.cookie


def test_what_is_no_tcp_socket_has_none() -> None:
    reader = SocketCalls()
    with socket.socket(socket.AF_UNIX) as local, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        inside, outside = os.pipe()
        assert [reader.of(fd) for fd in (local.fileno(), datagrams.fileno(), inside, 100_000)] == [None] * 4
        os.close(inside)
        os.close(outside)


def test_it_tells_the_ends_of_a_connection_as_python_does(
    sockets: tuple[socket.socket, socket.socket, socket.socket],
) -> None:
    listening, caller, accepted = sockets
    calls = SocketCalls()
    assert calls.ends_of(accepted.fileno()) == (listening.getsockname()[1], *caller.getsockname())
    assert calls.ends_of(listening.fileno()) == (listening.getsockname()[1], "", 0)
    with ExitStack() as stack:
        other = stack.enter_context(socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True))
        for host in ("127.0.0.1", "::1"):
            from_there = stack.enter_context(socket.create_connection((host, other.getsockname()[1])))
            there, _ = other.accept()
            stack.enter_context(there)
            ends = calls.ends_of(there.fileno())
            assert ends == (other.getsockname()[1], *there.getpeername()[:2])
            assert ends.port == from_there.getsockname()[1]


def test_it_lists_the_descriptors_that_there_are() -> None:
    inside, outside = os.pipe()
    there = set(SocketCalls().descriptors())
    assert {inside, outside} <= there
    os.close(outside)
    os.close(inside)
    assert outside not in SocketCalls().descriptors()  # the list is read through one of its own, perhaps `inside`


def test_the_end_of_a_connection_throws_away_what_was_not_read(
    sockets: tuple[socket.socket, socket.socket, socket.socket],
) -> None:
    _, caller, accepted = sockets
    calls = SocketCalls()
    caller.sendall(b"x" * 100_000)
    assert accepted.recv(10)  # so that it has come
    facts = calls.of(accepted.fileno())
    assert facts is not None
    with calls.held(accepted.fileno(), facts.cookie) as own:
        assert own is not None
        calls.end(own)
    assert accepted.recv(100_000) == b""


def test_a_descriptor_that_is_anothers_by_now_is_not_held(
    sockets: tuple[socket.socket, socket.socket, socket.socket],
) -> None:
    calls = SocketCalls()
    facts = calls.of(sockets[2].fileno())
    assert facts is not None
    before = set(calls.descriptors())
    for fd in (sockets[1].fileno(), 100_000):
        with calls.held(fd, facts.cookie) as own:
            assert own is None
    assert set(calls.descriptors()) == before
