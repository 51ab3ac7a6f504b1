"""What an operator sets: by option or by environment variable, checked before anything starts."""

from msgspec import Struct
from msgspec.structs import replace

from rpc.authorization.token_settings import TokenSettings
from rpc.network_bounds import DEFAULT_BOUNDS, NetworkBounds
from rpc.transport.addresses import Address
from rpc.transport.server_options import MESSAGE_BYTES_MAX
from rpc.transport.tls_files import TlsFiles
from rpc.transport.transport_name import TransportName
from stockkeeper.metrics.metrics_settings import MetricsSettings
from supervisor.limits import Limits

DEFAULT_PORT = 50_053
DEFAULT_DATABASE_URL = "sqlite+aiosqlite:///stockkeeper.db"


class ConfigurationError(Exception):
    """One sentence that says what is wrong with the configuration."""


class WatchConfig(Struct, frozen=True):
    """How a process is watched.

    Args:
        metrics: where Prometheus finds metrics; None: there are none.
        slow_call_ms: from how many milliseconds on the log is told of a call.
        has_traces: whether calls are traced.
    """

    metrics: MetricsSettings | None = None
    slow_call_ms: int = 1_000
    has_traces: bool = False

    def of_frontend(self, number: int) -> "WatchConfig":
        """That of a front-end; they count from 1."""
        return replace(self, metrics=self.metrics and self.metrics.of_frontend(number))


NOT_WATCHED = WatchConfig()


class RouteConfig(Struct, frozen=True):
    """Everything that `stockkeeper route` can be told.

    Args:
        map_file: the file with the map of the cells.
        host: what to listen on; `localhost` means IPv4 and IPv6.
        port: 0 chooses a free one.
        calls_max: how many calls are routed at once.
        cell_wait_s: how long a call waits for a cell that is away, in seconds.
        transport: what carries the calls; None leaves it to the installed grpcio.
        message_bytes_max: how long a caller's message may be, also after it was decompressed.
        tls: what callers are shown; None: they are not shown anything, and nothing is encrypted.
        insecure_network: whether others than this machine may be served without encryption.
        keys_file: of the keys that callers need; empty: they need none.
        tokens: that callers may have instead; None: there are none.
        has_reflection: whether callers may ask what services there are.
        grace_s: how long calls under way may go on after a SIGTERM, in seconds.
        watch: how it is watched.
        bounds: those of the network.
        shared: what to listen on instead, beside other routers of the same tree of processes.
        link_tls: what it shows the owners of cells on other machines, and what they must show; None: there are none.
    """

    map_file: str
    host: str = "localhost"
    port: int = DEFAULT_PORT
    calls_max: int = 10_000
    cell_wait_s: float = 10.0
    transport: TransportName | None = None
    message_bytes_max: int = MESSAGE_BYTES_MAX
    tls: TlsFiles | None = None
    insecure_network: bool = False
    keys_file: str = ""
    tokens: TokenSettings | None = None
    has_reflection: bool = True
    grace_s: float = 10.0
    watch: WatchConfig = NOT_WATCHED
    bounds: NetworkBounds = DEFAULT_BOUNDS
    shared: tuple[Address, ...] = ()
    link_tls: TlsFiles | None = None


class CellsConfig(Struct, frozen=True):
    """Which cell a server is.

    Args:
        map_file: the file with the map.
        name: of the cell.
        links_only: whether only routers reach it.
        link_listen: where routers reach it, beside what the map says: host:port or unix:/path; empty: nowhere else.
        link_tls: what routers on other machines are shown, and must show; None: there are none.
        link_name: that the certificates of routers must have; empty: any.
    """

    map_file: str
    name: str
    links_only: bool = False
    link_listen: str = ""
    link_tls: TlsFiles | None = None
    link_name: str = ""


class TreeConfig(Struct, frozen=True):
    """Cells of one machine, that are served by one tree of processes.

    Args:
        count: how many.
        map_file: the file with their map; empty: beside their files.
    """

    count: int
    map_file: str = ""


class ServeConfig(Struct, frozen=True):
    """Everything that `stockkeeper serve` can be told.

    Args:
        host: what to listen on; `localhost` means IPv4 and IPv6.
        port: 0 chooses a free one.
        database_url: an SQLAlchemy URL.
        stands_by: whether to wait for a server that has the database, instead of giving way to it.
        frontends: how many processes end gRPC; 0: this one does.
        grace_s: how long calls under way may go on after a SIGTERM, in seconds.
        sample: whether to load the sample stock if it was never loaded.
        transport: what carries the calls; None leaves it to the installed grpcio.
        message_bytes_max: how long a caller's message may be, also after it was decompressed.
        tls: what callers are shown; None: they are not shown anything, and nothing is encrypted.
        keys_file: of the keys that callers need; empty: they need none.
        tokens: that callers may have instead; None: there are none.
        has_reflection: whether callers may ask what services there are.
        insecure_network: whether others than this machine may be served without encryption.
        limits: the core's bounds.
        events_to: the broker to which a relay beside the server publishes; empty: none does.
        consume: the broker on which a consumer beside the server listens; empty: none does.
        events_exchange: RabbitMQ's topic exchange, or the name of NATS' stream.
        events_heartbeat_s: RabbitMQ's heartbeat; 0 for none.
        events_prefetch: how many events of a queue the consumer may have under way; 0: as is usual for that queue.
        bounds: those of the network.
        rate_limit_per_minute: how often an organization may ask; 0: as often as it likes.
        watch: how it is watched.
        cells: which cell it is; None: it is none, and serves everybody.
        tree: the cells that it has processes for; None: it is one server.
    """

    host: str = "localhost"
    port: int = DEFAULT_PORT
    database_url: str = DEFAULT_DATABASE_URL
    stands_by: bool = False
    frontends: int = 0
    grace_s: float = 10.0
    sample: bool = False
    transport: TransportName | None = None
    message_bytes_max: int = MESSAGE_BYTES_MAX
    tls: TlsFiles | None = None
    keys_file: str = ""
    tokens: TokenSettings | None = None
    has_reflection: bool = True
    insecure_network: bool = False
    limits: Limits = Limits()
    events_to: str = ""
    consume: str = ""
    events_exchange: str = "inventory_events"
    events_heartbeat_s: int = 60
    events_prefetch: int = 0
    bounds: NetworkBounds = DEFAULT_BOUNDS
    rate_limit_per_minute: int = 0
    watch: WatchConfig = NOT_WATCHED
    cells: CellsConfig | None = None
    tree: TreeConfig | None = None
