"""A cell's owner or a router of `serve --cells`, in a process of its own.

The process that started it writes what it is to do as one line to its stdin, so that no password stands in its
arguments. It ends in order when its stdin ends: however the one that started it ends. Its first line on stdout says
that it serves.
"""

import os
import signal
import sys
import threading

import msgspec
from msgspec import Struct

from stockkeeper.config import ConfigurationError, RouteConfig, ServeConfig
from stockkeeper.logs import LogFormat, configure_logging

EXIT_USAGE = 2


class CellOrders(Struct, frozen=True):
    """What it is told: one of the two."""

    log_level: str
    log_format: LogFormat
    owner: ServeConfig | None = None
    router: RouteConfig | None = None


def main() -> int:
    """The entry point of the process."""
    line = sys.stdin.buffer.readline()
    if not line:
        return 0  # the one that started it ended at once
    orders = msgspec.json.decode(line, type=CellOrders)
    configure_logging(orders.log_level, orders.log_format)
    threading.Thread(target=_end_with_the_input, name="end-of-input", daemon=True).start()
    try:
        _run(orders)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
    return EXIT_USAGE


def _run(orders: CellOrders) -> None:
    if orders.owner is not None:
        from stockkeeper.serving.serve import serve

        serve(orders.owner)
    assert orders.router is not None
    from stockkeeper.serving.route import route

    route(orders.router)


def _end_with_the_input() -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
