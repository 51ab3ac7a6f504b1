"""A front-end process: gRPC before an inventory that another process owns. `stockkeeper serve --frontends` starts it.

It lives as long as its socket to the owner, whose end it sees as the end of the stream, however the owner ended.
Signals are the owner's: those that a terminal or a service manager sends to all processes are ignored here, or
the answers that the owner still gives would have no way out.
"""

import asyncio
import signal
import socket
import sys

import msgspec
from msgspec import Struct

from rpc.addresses import Address, ListenError
from rpc.remote import RemoteInventory
from rpc.server import LINGER_S, RpcServer
from stockkeeper.garbage import collect_seldom
from stockkeeper.logs import configure_logging

LATE_CALLS_S = 1.0  # of a lost owner: callers who ask again at once could keep a front-end from ending


class FrontendSettings(Struct, frozen=True):
    """What the owner tells a front-end on its command line, as JSON.

    Args:
        descriptor: of the socket to the owner, which is inherited.
        addresses: where to listen; the owner holds them.
        calls_max: how many calls may be under way here.
        log_level: debug, info, warning or error.
    """

    descriptor: int
    addresses: tuple[Address, ...]
    calls_max: int
    log_level: str


def main() -> None:
    """The entry point of the process. Its exit status is 0 if the owner asked it to end, otherwise 1."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    settings = msgspec.json.decode(sys.argv[1], type=FrontendSettings)
    configure_logging(settings.log_level)
    collect_seldom()
    try:
        is_asked = asyncio.run(_run(settings))
    except ListenError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    sys.exit(0 if is_asked else 1)


async def _run(settings: FrontendSettings) -> bool:
    owner = await RemoteInventory.connect(socket.socket(fileno=settings.descriptor), settings.calls_max)
    first = settings.addresses[0]
    server = RpcServer(owner, host=first.host, port=first.port, calls_max=settings.calls_max)
    owner.on_serving = server.set_serving
    await server.start(settings.addresses)
    owner.say_listening()
    await owner.stop_asked.wait()
    # A call that gRPC took in and nobody looked at would end as CANCELLED, which no client retries.
    quiet = asyncio.create_task(server.quiet())
    lost = asyncio.create_task(owner.lost.wait())
    await asyncio.wait({lost, quiet}, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait({quiet}, timeout=LATE_CALLS_S)
    await server.stop(LINGER_S)
    is_asked = not lost.done()
    owner.close()
    return is_asked


if __name__ == "__main__":
    main()
