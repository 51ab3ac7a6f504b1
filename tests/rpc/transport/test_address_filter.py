"""What the kernel drops for a socket that listens."""

import socket
import sys

import pytest

from rpc.transport.address_filter import ADDRESSES_MAX, drop_from

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the filter is Linux's")

OTHERS = [f"10.0.0.{number}" for number in range(40)] + [f"2001:db8:{number}::1" for number in range(40)]


def is_heard(listening: socket.socket, source: str) -> bool:
    try:
        socket.create_connection((source, listening.getsockname()[1]), timeout=0.1, source_address=(source, 0)).close()
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "dropped", "heard"),
    [("0.0.0.0", "127.0.0.2", "127.0.0.3"), ("::", "127.0.0.2", "::1"), ("::", "::1", "127.0.0.1")],
)
def test_addresses_are_dropped_and_heard_again(host: str, dropped: str, heard: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.bind((host, 0))
        listening.listen()
        drop_from(listening, [*OTHERS, dropped])
        assert not is_heard(listening, dropped)
        assert is_heard(listening, heard)
        drop_from(listening, OTHERS)
        assert is_heard(listening, dropped)
        drop_from(listening, [dropped])
        assert not is_heard(listening, dropped)
        drop_from(listening, [])
        drop_from(listening, [])
        assert is_heard(listening, dropped)


def test_there_may_be_any_number() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        drop_from(listening, [f"2001:db8:{number:x}::1" for number in range(3 * ADDRESSES_MAX)])
