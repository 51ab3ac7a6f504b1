"""`serve --cells N`: N owners and the routers before them, as one tree of processes on one machine.

The first process ends no call and opens no database. It makes the map where there is none, starts an owner for each
cell and then the routers, which share its port, starts again what ends, and ends all when it is told to: the routers
first, so that what the owners answered reaches its callers.

Owners listen on their sockets alone. What callers must show, the routers ask of them, as `stockkeeper route` does.
"""

import asyncio
import signal
import socket
import sys
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

import structlog
from msgspec.structs import replace

from rpc.transport.addresses import Address, ListenError, shared_addresses
from stockkeeper.cell_layout import CellLayout, known_map, layout_of, write_map
from stockkeeper.config import CellsConfig, ConfigurationError, RouteConfig, ServeConfig
from stockkeeper.logs import configured_format, configured_level
from stockkeeper.serving.cell_main import CellOrders
from stockkeeper.serving.cell_program import CellProgram, ProgramEnded
from stockkeeper.serving.undivided import check_nothing_is_there
from stockkeeper.serving.who_is_served import see_who_is_served
from storage.sql.database_url import show_url

log = structlog.get_logger("stockkeeper")

EXIT_OK, EXIT_FAILURE = 0, 1


def serve_cells(config: ServeConfig) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit status.

    Raises:
        ConfigurationError: the configuration cannot work.
    """
    assert config.tree is not None
    _check(config)
    see_who_is_served(config)
    layout = layout_of(config.database_url, config.tree.map_file, config.tree.count)
    if known_map(layout) is None:
        check_nothing_is_there(layout)
        write_map(layout.map_file, layout.map)
    try:
        return asyncio.run(_Tree(config, layout).run())
    except ListenError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_FAILURE
    except ProgramEnded as ended:
        return ended.status


def _check(config: ServeConfig) -> None:
    for is_given, option in (
        (config.sample, "--sample"),
        (config.stands_by, "--standby"),
        (bool(config.events_to), "--events-to"),
        (bool(config.consume), "--consume"),
    ):
        if is_given:
            raise ConfigurationError(f"--cells and {option} do not go together.")


class _Tree:
    """All of it, from its start to its end."""

    def __init__(self, config: ServeConfig, layout: CellLayout) -> None:
        self._config = config
        self._layout = layout
        self._owners: list[CellProgram] = []
        self._routers: list[CellProgram] = []
        self._stopping = asyncio.Event()

    def __repr__(self) -> str:
        return f"<_Tree {self._layout} {self._owners} {self._routers}>"

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        addresses, holders = await asyncio.to_thread(shared_addresses, self._config.host, self._config.port)
        try:
            await self._until_stopped(self._start(addresses, holders))
            await self._stopping.wait()
            log.info("stopping", grace_s=self._config.grace_s)
        finally:
            await _stop(self._routers)
            await _stop(self._owners)
            for holder in holders:
                holder.close()
        log.info("stopped")
        return EXIT_OK

    async def _until_stopped(self, starting: Coroutine[Any, Any, None]) -> None:
        work, stop = asyncio.create_task(starting), asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((work, stop), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            for task in (work, stop):
                task.cancel()
                with suppress(asyncio.CancelledError, ProgramEnded):
                    await task

    async def _start(self, addresses: Sequence[Address], holders: Sequence[socket.socket]) -> None:
        routers = max(self._config.frontends, 1)
        for number, name in enumerate(self._layout.cells):
            orders = replace(_orders(), owner=self._owner(number, metrics=routers + number))
            self._owners.append(CellProgram(name, orders, self._config.grace_s))
        await _start_all(self._owners)
        for number in range(routers):
            orders = replace(_orders(), router=self._router(addresses, metrics=number))
            self._routers.append(CellProgram(f"router-{number}", orders, self._config.grace_s))
        await _start_all(self._routers)
        where = " and ".join(str(address) for address in addresses)
        kept = f"stock is kept in {len(self._layout.cells)} cells of {show_url(self._layout.whole)}"
        sys.stdout.write(f"stockkeeper listens on {where}, {kept}\n")
        sys.stdout.flush()

    def _owner(self, number: int, metrics: int) -> ServeConfig:
        cell = CellsConfig(str(self._layout.map_file), self._layout.cells[number], links_only=True)
        return replace(
            self._config,
            host="localhost",
            port=0,
            database_url=self._layout.database_urls[number],
            frontends=0,
            tls=None,
            keys_file="",
            tokens=None,
            watch=self._config.watch.of_frontend(metrics),
            cells=cell,
            tree=None,
        )

    def _router(self, addresses: Sequence[Address], metrics: int) -> RouteConfig:
        config = self._config
        return RouteConfig(
            map_file=str(self._layout.map_file),
            host=config.host,
            port=config.port,
            shared=tuple(addresses),
            calls_max=config.limits.calls_max,
            transport=config.transport,
            message_bytes_max=config.message_bytes_max,
            tls=config.tls,
            insecure_network=config.insecure_network,
            keys_file=config.keys_file,
            tokens=config.tokens,
            has_reflection=config.has_reflection,
            grace_s=config.grace_s,
            watch=config.watch.of_frontend(metrics) if metrics else config.watch,
            bounds=config.bounds,
        )


def _orders() -> CellOrders:
    return CellOrders(configured_level(), configured_format())


async def _start_all(programs: Sequence[CellProgram]) -> None:
    """Raises `ProgramEnded`: one of them did not begin to serve."""
    starts = [asyncio.create_task(program.start()) for program in programs]
    try:
        for start in asyncio.as_completed(starts):
            await start
    finally:
        for start in starts:
            start.cancel()
        await asyncio.gather(*starts, return_exceptions=True)


async def _stop(programs: Sequence[CellProgram]) -> None:
    await asyncio.gather(*(program.stop() for program in programs))
