"""What `stockkeeper serve` is told of metrics, traces and slow calls."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from stockkeeper.command_line.parameters import whole
from stockkeeper.config import ConfigurationError, WatchConfig
from stockkeeper.metrics.metrics_settings import DEFAULT_METRICS_HOST, DEFAULT_METRICS_PATH, MetricsSettings


@dataclass(frozen=True, kw_only=True)
class WatchOptions:
    """How the server is watched."""

    metrics_port: Annotated[
        int | None,
        whole(0, 65_535),
        Parameter(
            help="Where Prometheus reads metrics, by plain HTTP; none are kept by default, and 0 chooses a free port."
            " Front-ends take the ports that follow.",
            env_var="METRICS_PORT",
        ),
    ] = None
    metrics_host: Annotated[
        str,
        Parameter(
            help="What to listen on for that. Any caller that reaches it reads how much is done, and which"
            " organizations are short.",
            env_var="METRICS_HOST",
        ),
    ] = DEFAULT_METRICS_HOST
    metrics_path: Annotated[str, Parameter(help="The path of the metrics.", env_var="METRICS_PATH")] = (
        DEFAULT_METRICS_PATH
    )
    traces: Annotated[
        bool,
        Parameter(
            help="Send traces of some calls by OTLP over HTTP. OpenTelemetry's variables say where, and of how many.",
            negative="",
        ),
    ] = False
    slow_call_ms: Annotated[
        int,
        whole(1),
        Parameter(help="From how many milliseconds on the log is told of a call.", env_var="SLOW_CALL_MS"),
    ] = WatchConfig().slow_call_ms

    def config(self) -> WatchConfig:
        """What they amount to.

        Raises:
            ConfigurationError: the path is none.
        """
        if not self.metrics_path.startswith("/"):
            raise ConfigurationError(f"The path of the metrics must begin with a slash, not {self.metrics_path!r}.")
        metrics = None
        if self.metrics_port is not None:
            metrics = MetricsSettings(self.metrics_port, self.metrics_host, self.metrics_path)
        return WatchConfig(metrics, self.slow_call_ms, self.traces)


Watch = Annotated[WatchOptions, Parameter(name="*")]
NOT_WATCHED = WatchOptions()
