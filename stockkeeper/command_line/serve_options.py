"""Options of `serve` that belong together."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from actors.row_changes import Levels
from rpc.transport.tls_files import TlsFiles
from stockkeeper.command_line.parameters import whole
from stockkeeper.config import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class TlsOptions:
    """What callers are shown, and must show. The files are read again when they change."""

    tls_cert: Annotated[
        str,
        Parameter(
            help="A file with the certificate that callers are shown, followed by those that lead to a known one.",
            env_var="GRPC_TLS_CERT",
        ),
    ] = ""
    tls_key: Annotated[
        str, Parameter(help="A file with the certificate's key, without a password.", env_var="GRPC_TLS_KEY")
    ] = ""
    tls_client_ca: Annotated[
        str,
        Parameter(
            help="A file with the certificates of those who must have signed the callers' certificates: mutual TLS.",
            env_var="GRPC_TLS_CLIENT_CA",
        ),
    ] = ""

    @property
    def files(self) -> TlsFiles | None:
        """The files; None without TLS.

        Raises:
            ConfigurationError: one of them is missing.
        """
        if bool(self.tls_cert) != bool(self.tls_key):
            raise ConfigurationError("TLS needs both a certificate and its key: --tls-cert and --tls-key.")
        if self.tls_client_ca and not self.tls_cert:
            raise ConfigurationError("Callers' certificates need the server's: --tls-client-ca goes with --tls-cert.")
        return TlsFiles(self.tls_cert, self.tls_key, self.tls_client_ca) if self.tls_cert else None


@dataclass(frozen=True, kw_only=True)
class LevelOptions:
    """The levels of rows that are made without a word about them."""

    default_min_stock: Annotated[
        int,
        whole(0),
        Parameter(help="The minimum of a row that is made without one.", env_var="DEFAULT_MIN_STOCK"),
    ] = 0
    default_max_stock: Annotated[
        int,
        whole(0),
        Parameter(help="The maximum of a row that is made without one; 0 for none.", env_var="DEFAULT_MAX_STOCK"),
    ] = 0
    default_reorder_point: Annotated[
        int,
        whole(0),
        Parameter(help="The reorder point of a row that is made without one.", env_var="DEFAULT_REORDER_POINT"),
    ] = 0

    @property
    def levels(self) -> Levels:
        """Raises `ConfigurationError` where they contradict each other."""
        if 0 < self.default_max_stock < self.default_min_stock:
            raise ConfigurationError("The default maximum must be 0 or at least the default minimum.")
        return Levels(self.default_min_stock, self.default_max_stock, self.default_reorder_point)


@dataclass(frozen=True, kw_only=True)
class EventsOptions:
    """Programs beside the server that pass events on."""

    events_to: Annotated[
        str,
        Parameter(
            help="Run a relay beside the server, which publishes everything that happens there: amqp://host/ or"
            " nats://host.",
            env_var="EVENTS_TO",
        ),
    ] = ""
    consume: Annotated[
        str,
        Parameter(
            help="Run a consumer beside the server, which does what the catalog's and the orders' events say:"
            " amqp://host/ or nats://host.",
            env_var="EVENTS_FROM",
        ),
    ] = ""
    events_exchange: Annotated[
        str,
        Parameter(
            help="RabbitMQ's topic exchange, or the name of NATS' stream, for what these publish.",
            env_var="RABBITMQ_EXCHANGE_INVENTORY",
        ),
    ] = "inventory_events"
    events_heartbeat_s: Annotated[
        int,
        whole(0, 3_600),
        Parameter(help="RabbitMQ's heartbeat, in seconds; 0 for none.", env_var="RABBITMQ_HEARTBEAT"),
    ] = 60
    events_prefetch: Annotated[
        int,
        whole(0, 1_000),
        Parameter(
            help="How many events of a queue the consumer may have under way; 0 for what is usual for it.",
            env_var="RABBITMQ_PREFETCH_COUNT",
        ),
    ] = 0


Tls = Annotated[TlsOptions, Parameter(name="*")]
StockLevels = Annotated[LevelOptions, Parameter(name="*")]
Events = Annotated[EventsOptions, Parameter(name="*")]
WITHOUT_TLS, NO_LEVELS, NO_EVENTS = TlsOptions(), LevelOptions(), EventsOptions()
