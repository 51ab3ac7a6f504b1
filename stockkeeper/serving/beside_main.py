"""A relay or a consumer beside the server, in a process of its own: what it does costs the server's event loop nothing.

The server writes what it is to do as one line to its stdin, so that no password stands in its arguments, and it lives
until its stdin ends: however the server ends. Signals are for the server.
"""

import asyncio
import signal
import sys

import anyio
import msgspec
from msgspec import Struct

from stockkeeper.logs import LogFormat, configure_logging
from stockkeeper.serving.consuming import ConsumeConfig, consume_forever, inbox_of
from stockkeeper.serving.relaying import RelayConfig, broker_of, relay_forever


class Orders(Struct, frozen=True):
    """What the server tells it."""

    config: RelayConfig | ConsumeConfig
    log_level: str
    log_format: LogFormat = "auto"


def main() -> None:
    """The entry point of the process."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    line = sys.stdin.buffer.readline()
    if not line:
        return  # the server ended at once
    orders = msgspec.json.decode(line, type=Orders)
    configure_logging(orders.log_level, orders.log_format)
    anyio.run(_until_the_server_ends, orders.config)


async def _until_the_server_ends(config: RelayConfig | ConsumeConfig) -> None:
    async with anyio.create_task_group() as tasks:
        if isinstance(config, RelayConfig):
            tasks.start_soon(relay_forever, config, broker_of(config))
        else:
            tasks.start_soon(consume_forever, config, inbox_of(config))
        await _end_of_input()
        tasks.cancel_scope.cancel()


async def _end_of_input() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


if __name__ == "__main__":
    main()
