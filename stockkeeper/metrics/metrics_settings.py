"""Where metrics are shown. It needs nothing of what shows them."""

from msgspec import Struct

DEFAULT_METRICS_HOST = "localhost"
DEFAULT_METRICS_PATH = "/metrics"


class MetricsSettings(Struct, frozen=True):
    """Where Prometheus finds them.

    Args:
        port: 0 chooses a free one.
        host: what to listen on; `localhost` means IPv4 and IPv6.
        path: of the page.
    """

    port: int
    host: str = DEFAULT_METRICS_HOST
    path: str = DEFAULT_METRICS_PATH

    def of_frontend(self, number: int) -> "MetricsSettings":
        """Those of a front-end: the ports after the owner's, or free ones too. Front-ends count from 1."""
        return MetricsSettings(self.port and self.port + number, self.host, self.path)
