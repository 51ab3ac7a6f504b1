"""What `stockkeeper serve` is told of metrics."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from stockkeeper.command_line.parameters import whole
from stockkeeper.config import ConfigurationError
from stockkeeper.metrics.metrics_settings import DEFAULT_METRICS_HOST, DEFAULT_METRICS_PATH, MetricsSettings


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class MetricsOptions:
    """Where Prometheus reads metrics."""

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
            help="What to listen on for that. Whoever reaches it reads how much is done, and which organizations are"
            " short.",
            env_var="METRICS_HOST",
        ),
    ] = DEFAULT_METRICS_HOST
    metrics_path: Annotated[str, Parameter(help="The path of the metrics.", env_var="METRICS_PATH")] = (
        DEFAULT_METRICS_PATH
    )

    def settings(self) -> MetricsSettings | None:
        """What they amount to; None: there are no metrics.

        Raises:
            ConfigurationError: the path is none.
        """
        if not self.metrics_path.startswith("/"):
            raise ConfigurationError(f"The path of the metrics must begin with a slash, not {self.metrics_path!r}.")
        if self.metrics_port is None:
            return None
        return MetricsSettings(self.metrics_port, self.metrics_host, self.metrics_path)
