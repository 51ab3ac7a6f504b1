"""How a process is watched: its calls, its traces, its metrics. What is not wanted is not imported."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from actors.stages import Stages
from rpc.call_watch import CallWatch
from rpc.rpc_server import RpcServer
from stockkeeper.config import ConfigurationError, WatchConfig
from stockkeeper.metrics.router_figures import RouterFigures
from stockkeeper.turn_watch import TurnWatch
from supervisor.supervisor import Supervisor

if TYPE_CHECKING:
    from stockkeeper.metrics.shown_metrics import Shown
    from stockkeeper.tracing.tracing_setup import Traces


class ProcessWatch:
    """What watches this process, from before its event loop runs.

    Args:
        config: says what is wanted.

    Raises:
        ConfigurationError: it is not installed.
    """

    def __init__(self, config: WatchConfig) -> None:
        self._config = config
        self._traces = _traces() if config.has_traces else None
        self._shown: Shown | None = None
        if config.metrics is not None:
            from stockkeeper.metrics import shown_metrics as shown_metrics  # its imports would hold the event loop

    def __repr__(self) -> str:
        return f"<ProcessWatch {self._config}>"

    @property
    def stages(self) -> Stages | None:
        """What follows commands through the core."""
        return None if self._traces is None else self._traces.stages

    def calls(self) -> CallWatch:
        """What watches the calls of a server."""
        return CallWatch(
            is_counting=self._config.metrics is not None,
            slow_call_s=self._config.slow_call_ms / 1_000,
            traces=None if self._traces is None else self._traces.calls,
        )

    async def show(
        self,
        turns: TurnWatch,
        *,
        server: RpcServer | None = None,
        supervisor: Supervisor | None = None,
        router: Callable[[], RouterFigures] | None = None,
    ) -> None:
        """Show metrics from now on, if they are wanted.

        Raises:
            ListenError: the host or the port cannot be had.
        """
        if self._config.metrics is not None:
            from stockkeeper.metrics.shown_metrics import show_metrics

            settings = self._config.metrics
            self._shown = await show_metrics(settings, turns, server=server, supervisor=supervisor, router=router)

    async def end(self) -> None:
        """Send the last spans."""
        if self._traces is not None:
            await asyncio.to_thread(self._traces.flush)


def _traces() -> "Traces":
    try:
        from stockkeeper.tracing.tracing_setup import exported_traces

        return exported_traces()
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"Traces need {error.name}: install stockkeeper[traces].") from None
