"""The front-end processes, as the owner of the database keeps them.

Where gRPC takes most of a core and there are cores to spare, several processes share the port (SO_REUSEPORT: the
kernel deals out connections) and hand the commands on in batches; see `rpc.frontends.link`. Each process inherits one
end of a pair of connected Unix sockets. A socket with a name would need a directory and permissions, others could find
it, and kill -9 would leave it behind.

A front-end keeps nothing that was acknowledged: one that crashed is replaced, and its callers' retries find
their reservations. Only at the start does a front-end that fails end the server.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress

import msgspec
import structlog

from rpc.authorization.token_settings import TokenSettings
from rpc.frontends.frontend_session import FrontendSession
from rpc.inventory_port import Inventory
from rpc.network_bounds import DEFAULT_BOUNDS, NetworkBounds
from rpc.transport.addresses import Address, ListenError, shared_addresses
from rpc.transport.server_options import MESSAGE_BYTES_MAX
from rpc.transport.tls_files import TlsFiles
from rpc.transport.transport_name import TransportName
from stockkeeper.config import NOT_WATCHED, WatchConfig
from stockkeeper.logs import configured_format, configured_level
from stockkeeper.serving.frontend_main import SETTINGS_VARIABLE, FrontendSettings

RESTART_PAUSE_MIN_S, RESTART_PAUSE_MAX_S = 0.05, 5.0
HEALTHY_AFTER_S = 5.0  # a front-end that has lived this long starts with the shortest pause again
ENDING_S = 2.0  # beyond its grace; then a front-end that was asked to end is killed

log = structlog.get_logger("stockkeeper")


class Frontends:
    """The network of a server that has gRPC in other processes. It has the methods of `rpc.rpc_server.RpcServer`.

    Args:
        inventory: the core.
        processes: how many.
        host: what they listen on, and
        port: where; 0 chooses a free one.
        calls_max: how many calls may be under way in each.
        transport: what carries the calls.
        message_bytes_max: how long a caller's message may be.
        tls: what callers are shown; None: nothing is encrypted.
        keys_file: of the keys that callers need; empty: they need none.
        tokens: that callers may have instead; None: there are none.
        has_reflection: whether callers may ask what services there are.
        bounds: the other bounds of the network, of each.
        watch: how the owner is watched; the front-ends' metrics are on the ports that follow.
    """

    def __init__(
        self,
        inventory: Inventory,
        *,
        processes: int,
        host: str,
        port: int,
        calls_max: int,
        transport: TransportName = "core",
        message_bytes_max: int = MESSAGE_BYTES_MAX,
        tls: TlsFiles | None = None,
        keys_file: str = "",
        tokens: TokenSettings | None = None,
        has_reflection: bool = True,
        bounds: NetworkBounds = DEFAULT_BOUNDS,
        watch: WatchConfig = NOT_WATCHED,
    ) -> None:
        self._bounds = bounds
        self._watch = watch
        self._tls = tls
        self._keys_file = keys_file
        self._tokens = tokens
        self._has_reflection = has_reflection
        self._inventory = inventory
        self._processes = processes
        self._host = host
        self._port = port
        self._calls_max = calls_max
        self._transport = transport
        self._message_bytes_max = message_bytes_max
        self._addresses: Sequence[Address] = ()
        self._holders: Sequence[socket.socket] = ()
        self._keepers: list[asyncio.Task[None]] = []
        self._sessions: dict[FrontendSession, asyncio.subprocess.Process] = {}
        self._listening = 0
        self._started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stopping = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Frontends {len(self._sessions)}/{self._processes} stopping={self._stopping.is_set()}>"

    async def start(self) -> Sequence[Address]:
        """Start the processes, and say where they listen once all do.

        Raises:
            ListenError: the host or the port cannot be had, or a front-end ended at once; the text says why.
        """
        self._addresses, self._holders = await asyncio.to_thread(shared_addresses, self._host, self._port)
        self._keepers = [asyncio.create_task(self._keep(number)) for number in range(1, self._processes + 1)]
        await self._started
        return self._addresses

    def set_serving(self, serving: bool) -> None:
        """What the health service answers from now on."""
        for session in self._sessions:
            session.set_serving(serving)

    async def drain(self, timeout_s: float) -> None:
        """Have the front-ends drain, and end. One that does not is killed, and its callers get UNAVAILABLE.

        Args:
            timeout_s: how long their calls under way may take, in seconds.
        """
        self._stopping.set()
        for session in self._sessions:
            session.ask_to_stop()
        if self._keepers:
            _, stuck = await asyncio.wait(self._keepers, timeout=timeout_s + ENDING_S)
            for process in self._sessions.values() if stuck else ():
                with suppress(ProcessLookupError):  # it has just ended
                    process.kill()
            await asyncio.wait(self._keepers)
        for holder in self._holders:
            holder.close()

    async def _keep(self, number: int) -> None:
        """Have one front-end running, until the stop."""
        pause_s = RESTART_PAUSE_MIN_S
        while not self._stopping.is_set():
            began_s = asyncio.get_running_loop().time()
            try:
                end = f"ended with status {await self._run_process(number)}"
            except OSError as error:
                end = f"could not be started: {error.strerror}"
            if self._stopping.is_set():
                return
            if not self._started.done():
                self._started.set_exception(ListenError(f"Front-end {number} {end} before it listened."))
                return
            if asyncio.get_running_loop().time() - began_s >= HEALTHY_AFTER_S:
                pause_s = RESTART_PAUSE_MIN_S
            log.warning("frontend_ended", frontend=number, end=end, restart_in_s=pause_s)
            try:
                await asyncio.wait_for(self._stopping.wait(), pause_s)
            except TimeoutError:
                pause_s = min(2 * pause_s, RESTART_PAUSE_MAX_S)

    async def _run_process(self, number: int) -> int:
        """Start a front-end and see to it until it ends. Returns its exit status."""
        ours, theirs = socket.socketpair()
        with theirs, ExitStack() as stack:
            stack.enter_context(ours)  # closed if there is no process to talk to
            level = configured_level()
            settings = FrontendSettings(
                theirs.fileno(),
                tuple(self._addresses),
                self._calls_max,
                level,
                self._transport,
                self._message_bytes_max,
                self._tls,
                self._keys_file,
                self._tokens,
                self._has_reflection,
                self._bounds,
                configured_format(),
                self._watch.of_frontend(number),
            )
            # -P: modules come from where this program is installed, and not from the working directory.
            command = (sys.executable, "-P", "-m", "stockkeeper.serving.frontend_main")
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                env={**os.environ, SETTINGS_VARIABLE: msgspec.json.encode(settings).decode()},
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C in a terminal reaches the owner alone
            )
            stack.pop_all()
        session = await FrontendSession.connect(ours, self._inventory, self._on_listening)
        self._sessions[session] = process
        if self._stopping.is_set():
            session.ask_to_stop()
        try:
            return await process.wait()
        finally:
            del self._sessions[session]
            session.close()

    def _on_listening(self) -> None:
        self._listening += 1
        if self._listening == self._processes and not self._started.done():
            self._started.set_result(None)
