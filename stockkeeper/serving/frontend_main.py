"""A front-end process: gRPC before an inventory that another process owns. `stockkeeper serve --frontends` starts it.

It lives as long as its socket to the owner: however the owner ends, the stream ends with it. Signals are for the owner.
Those that a terminal or a service manager sends to all processes are ignored here, or the answers that the owner still
gives would not reach their callers.
"""

import os
import signal
import socket
import sys
from typing import NoReturn

import msgspec
import uvloop
from msgspec import Struct

from rpc.authorization.token_settings import TokenSettings
from rpc.frontends.remote_inventory import RemoteInventory
from rpc.network_bounds import NetworkBounds
from rpc.rpc_server import LINGER_S, RpcServer
from rpc.transport.addresses import Address, ListenError
from rpc.transport.certificates import TlsError
from rpc.transport.tls_files import TlsFiles
from rpc.transport.transport_name import TransportName
from stockkeeper.config import WatchConfig
from stockkeeper.logs import LogFormat, configure_logging
from stockkeeper.serving.garbage_collection import collect_seldom, schedule_full_collections
from stockkeeper.serving.memory_return import MemoryReturn
from stockkeeper.serving.process_end import end_process
from stockkeeper.serving.process_watch import ProcessWatch
from stockkeeper.turn_watch import TurnWatch

SETTINGS_VARIABLE = "STOCKKEEPER_FRONTEND"


class FrontendSettings(Struct, frozen=True):
    """What the owner tells a front-end in its environment, as JSON: arguments are for all users of a machine to see.

    Args:
        descriptor: of the socket to the owner, which is inherited.
        addresses: where to listen; the owner holds them.
        calls_max: how many calls may be under way here.
        log_level: debug, info, warning or error.
        transport: what carries the calls.
        message_bytes_max: how long a caller's message may be.
        tls: what callers are shown; None: nothing is encrypted.
        keys_file: of the keys that callers need; empty: they need none.
        tokens: that callers may have instead; None: there are none.
        has_reflection: whether callers may ask what services there are.
        bounds: the other bounds of the network.
        log_format: auto, json or console.
        watch: how it is watched.
    """

    descriptor: int
    addresses: tuple[Address, ...]
    calls_max: int
    log_level: str
    transport: TransportName
    message_bytes_max: int
    tls: TlsFiles | None
    keys_file: str
    tokens: TokenSettings | None
    has_reflection: bool
    bounds: NetworkBounds
    log_format: LogFormat
    watch: WatchConfig


def main() -> NoReturn:
    """The entry point of the process. Its exit status is 0 if the owner asked it to end, otherwise 1."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    settings = msgspec.json.decode(os.environ.pop(SETTINGS_VARIABLE), type=FrontendSettings)
    configure_logging(settings.log_level, settings.log_format)
    watch = ProcessWatch(settings.watch)
    collect_seldom()
    uvloop.run(_run(settings, watch))
    raise AssertionError("the process has ended")


async def _run(settings: FrontendSettings, watch: ProcessWatch) -> None:
    schedule_full_collections()
    owner = await RemoteInventory.connect(socket.socket(fileno=settings.descriptor), settings.calls_max)
    first = settings.addresses[0]
    server = RpcServer(
        owner,
        host=first.host,
        port=first.port,
        calls_max=settings.calls_max,
        transport=settings.transport,
        message_bytes_max=settings.message_bytes_max,
        tls=settings.tls,
        keys_file=settings.keys_file,
        tokens=settings.tokens,
        has_reflection=settings.has_reflection,
        bounds=settings.bounds,
        watch=watch.calls(),
    )
    owner.on_serving = server.set_serving
    turns, _memory = TurnWatch(), MemoryReturn()
    try:
        await server.start(settings.addresses)
        await watch.show(turns, server=server)
    except (ListenError, TlsError) as error:
        sys.stderr.write(f"{error}\n")
        end_process(1)
    owner.say_listening()
    await owner.stop_asked.wait()
    await server.drain(LINGER_S)
    turns.stop()
    await watch.end()
    end_process(1 if owner.lost.is_set() else 0)


if __name__ == "__main__":
    main()
