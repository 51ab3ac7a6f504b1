"""`stockkeeper serve` in a hurry: a reservation of a minute expires in a second, a database hangs after one."""

import time
from collections.abc import Callable
from unittest import mock

from msgspec.structs import replace

from actors.stages import Stages
from stockkeeper import bootstrap
from stockkeeper.bootstrap import build_sources, build_supervisor
from stockkeeper.command_line.cli import main
from stockkeeper.config import ServeConfig
from stockkeeper.serving import serve
from supervisor.clock import ServiceClock
from supervisor.incarnation import Sources
from supervisor.limits import Limits
from supervisor.supervisor import Supervisor

FASTER = 60
STALL_S = 1.0


def hasty_sources(stages: Stages | None = None) -> Sources:
    real = build_sources(stages)
    clock = ServiceClock(lambda: time.time_ns() // 1_000_000, lambda: time.monotonic() * FASTER)
    return Sources(clock, real.new_id, real.report_crash, stages=stages)


def impatient_supervisor(
    config: ServeConfig, on_serving: Callable[[bool], None], stages: Stages | None = None
) -> Supervisor:
    return build_supervisor(replace(config, limits=Limits(stall_s=STALL_S, heartbeat_s=STALL_S)), on_serving, stages)


if __name__ == "__main__":
    with (
        mock.patch.object(bootstrap, "build_sources", hasty_sources),
        mock.patch.object(serve, "build_supervisor", impatient_supervisor),
    ):
        main()
