"""A router as a program: gRPC before the owners of several cells. It keeps nothing: any number of them may run.

It goes on with the last good map while the file cannot be used, and with the cells that are there while one is away.
"""

import asyncio
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

import anyio
import structlog

from cells.cell_map import CellMap, CellMapError
from cells.map_file import MapFile
from cells.routed_inventory import RoutedInventory
from cells.whereabouts import Whereabouts
from rpc.authorization.file_look import look_at
from rpc.call_deadlines import CallDeadlines
from rpc.frontends.link_tls import LinkTls
from rpc.frontends.owner_links import OwnerLinks
from rpc.rpc_server import RpcServer
from rpc.transport.addresses import Address, ListenError
from rpc.transport.transport_choice import choose_transport
from stockkeeper.config import ConfigurationError, RouteConfig
from stockkeeper.metrics.router_figures import CellFigures, RouterFigures
from stockkeeper.serving.garbage_collection import collect_seldom, schedule_full_collections
from stockkeeper.serving.link_settings import check_reachable, link_tls
from stockkeeper.serving.memory_return import MemoryReturn
from stockkeeper.serving.open_files import raise_open_files_limit
from stockkeeper.serving.process_end import end_process
from stockkeeper.serving.process_watch import ProcessWatch
from stockkeeper.serving.who_is_served import see_who_is_served
from stockkeeper.turn_watch import TurnWatch

log = structlog.get_logger("stockkeeper")

LOOK_EVERY_S = 1.0
REACHED_WITHIN_S = 2.0  # then it begins without the cells that are away


def route(config: RouteConfig) -> NoReturn:
    """Route until SIGTERM or SIGINT, and end the process.

    Raises:
        ConfigurationError: the configuration cannot work.
    """
    see_who_is_served(config)
    try:
        file = MapFile(config.map_file, look_at)
    except CellMapError as error:
        raise ConfigurationError(str(error)) from None
    tls = link_tls(config.link_tls)
    check_reachable(file.current, tls)
    watch = ProcessWatch(config.watch)
    raise_open_files_limit()
    collect_seldom()
    anyio.run(_route_and_end, config, watch, file, tls, backend_options={"use_uvloop": True})
    raise AssertionError("the process has ended")


async def _route_and_end(config: RouteConfig, watch: ProcessWatch, file: MapFile, tls: LinkTls | None) -> None:
    schedule_full_collections()
    try:
        await _Routing(config, watch, file, tls).run()
    except ListenError as error:
        sys.stderr.write(f"{error}\n")
        end_process(1)
    end_process(0)


class _Routing:
    """One router, from its start to its end."""

    def __init__(self, config: RouteConfig, watch: ProcessWatch, file: MapFile, tls: LinkTls | None) -> None:
        self._tls = tls
        self._config = config
        self._watch = watch
        self._file = file
        self._links = OwnerLinks(config.calls_max, self._on_serving, tls)
        self._where = Whereabouts(file.current, self._looked, self._links.owner_of)
        self._reached = asyncio.Event()
        self._deadlines = CallDeadlines()
        self._server: RpcServer | None = None
        self._inventory: RoutedInventory | None = None

    def __repr__(self) -> str:
        return f"<_Routing {self._links} {self._inventory}>"

    async def run(self) -> None:
        async with anyio.create_task_group() as tasks:
            with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
                self._inventory = RoutedInventory(
                    self._where,
                    self._links.owner_of,
                    self._links.owners,
                    tasks.start_soon,
                    self._config.cell_wait_s,
                    self._config.calls_max,
                    self._deadlines.of_this_call,
                )
                self._links.follow(self._file.current)
                with anyio.move_on_after(REACHED_WITHIN_S):
                    await self._reached.wait()
                self._server = _server(self._config, self._inventory, self._watch, self._deadlines)
                try:
                    _say_listening(self._config, await self._server.start(self._config.shared), self._file.current)
                    turns, _memory = TurnWatch(), MemoryReturn()
                    await self._watch.show(turns, server=self._server, router=self._figures)
                    tasks.start_soon(self._follow)
                    async for number in signals:
                        log.info("stopping", signal=signal.Signals(number).name, grace_s=self._config.grace_s)
                        break
                    turns.stop()
                finally:
                    with anyio.CancelScope(shield=True):
                        await self._server.drain(self._config.grace_s)
                        await self._watch.end()
            tasks.cancel_scope.cancel()
        self._links.close()
        log.info("stopped")

    def _figures(self) -> RouterFigures:
        assert self._inventory is not None, self
        asked, where = self._inventory.statistics(), self._where.statistics()
        return RouterFigures(
            self._where.map_version,
            tuple(CellFigures(*one) for one in self._links.by_cell()),
            asked.waiting,
            asked.asked_again,
            asked.wrong_cell,
            where.looks,
            where.claims,
            self._file.statistics().reloads_failed,
        )

    def _on_serving(self) -> None:
        statistics = self._links.statistics()
        if statistics.cells == statistics.serving:
            self._reached.set()
        if self._server is not None and self._inventory is not None:
            self._server.set_serving(self._inventory.serving)

    def _looked(self) -> CellMap:
        """The newest good map. One that names an address which no link leads to is as bad as one that is no TOML."""
        before = self._file.current
        if self._file.look():
            try:
                check_reachable(self._file.current, self._tls)
            except ConfigurationError as error:
                log.error("cells_map_not_followed", reason=str(error))
                self._file.current = before
            else:
                self._links.follow(self._file.current)
        return self._file.current

    async def _follow(self) -> None:
        while True:
            await anyio.sleep(LOOK_EVERY_S)
            self._where.take(self._looked())


def _server(
    config: RouteConfig, inventory: RoutedInventory, watch: ProcessWatch, deadlines: CallDeadlines
) -> RpcServer:
    return RpcServer(
        inventory,
        host=config.host,
        port=config.port,
        calls_max=config.calls_max,
        bounds=config.bounds,
        transport=choose_transport(config.transport),
        message_bytes_max=config.message_bytes_max,
        tls=config.tls,
        keys_file=config.keys_file,
        tokens=config.tokens,
        has_reflection=config.has_reflection,
        watch=watch.calls(),
        deadlines=deadlines,
    )


def _say_listening(config: RouteConfig, addresses: Sequence[Address], there: CellMap) -> None:
    where = [str(address) for address in addresses]
    log.info("started", version=version("stockkeeper"), addresses=where, map_version=there.version)
    sys.stdout.write(f"stockkeeper listens on {' and '.join(where)}, and routes to {', '.join(there.cells)}\n")
    sys.stdout.flush()
