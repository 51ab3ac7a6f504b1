"""Ports for what is started again where it was."""

import socket
from pathlib import Path
from random import SystemRandom

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
FIRST, LAST = 10_000, 32_000  # below those that most systems give to connections


def free_port() -> int:
    """A port of 127.0.0.1 that is still free while what listens there is away.

    One that the system chooses may become the near end of another test's connection meanwhile.
    """
    last = min(LAST, int(RANGE.read_text().split()[0]) - 1) if RANGE.exists() else LAST
    while True:
        port = SystemRandom().randint(min(FIRST, last // 2), last)
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
