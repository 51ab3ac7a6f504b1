"""Puts the metrics of a process together: the owner of the database, a front-end, or one that is both."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import anyio
import structlog

from rpc.rpc_server import RpcServer
from stockkeeper.metrics.call_metrics import call_metrics
from stockkeeper.metrics.census import Census, census_metrics
from stockkeeper.metrics.core_metrics import core_metrics, look_at_core
from stockkeeper.metrics.metrics_endpoint import Families, Look, MetricsEndpoint
from stockkeeper.metrics.metrics_settings import MetricsSettings
from stockkeeper.metrics.process_metrics import build_metrics, turn_metrics
from stockkeeper.metrics.router_figures import RouterFigures
from stockkeeper.metrics.router_metrics import router_metrics
from stockkeeper.turn_watch import TurnWatch
from supervisor.supervisor import Supervisor

log = structlog.get_logger("stockkeeper")


class Shown(NamedTuple):
    """The page, and what counts for it, for as long as this is kept."""

    endpoint: MetricsEndpoint
    counting: "asyncio.Task[None] | None"


async def show_metrics(
    settings: MetricsSettings,
    turns: TurnWatch,
    *,
    server: RpcServer | None = None,
    supervisor: Supervisor | None = None,
    router: Callable[[], RouterFigures] | None = None,
) -> Shown:
    """Show them from now on.

    Args:
        turns: of this process' event loop.
        server: of this process, if it serves calls.
        supervisor: the core, if it runs here.
        router: tells what a router does, if this is one.

    Raises:
        ListenError: the host or the port cannot be had.
    """
    looks: list[Look] = [partial(_look_at_process, turns, server)]
    counting = None
    if supervisor is not None:
        census = Census(supervisor)
        looks += [partial(_look_at_core, supervisor), partial(_look_at_census, census)]
    if router is not None:
        looks.append(partial(_look_at_router, router))
    endpoint = MetricsEndpoint(settings, looks)
    addresses = await endpoint.start()
    if supervisor is not None:
        counting = asyncio.create_task(census.run())
    log.info("metrics_shown", addresses=[str(address) for address in addresses], path=settings.path)
    return Shown(endpoint, counting)


async def _look_at_process(turns: TurnWatch, server: RpcServer | None) -> Families:
    held = turns.statistics()
    if server is None:
        return lambda: [*build_metrics(), *turn_metrics(held, ())]
    served, methods = server.statistics(), server.methods
    return lambda: [*build_metrics(), *turn_metrics(held, methods), *call_metrics(served)]


async def _look_at_core(supervisor: Supervisor) -> Families:
    return partial(core_metrics, await look_at_core(supervisor, time.time_ns() // 1_000_000))


async def _look_at_router(router: Callable[[], RouterFigures]) -> Families:
    return partial(router_metrics, router())


async def _look_at_census(census: Census) -> Families:
    return partial(census_metrics, census.statistics(), anyio.current_time())
