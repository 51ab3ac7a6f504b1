"""`stockkeeper serve`: runs the server."""

from typing import Annotated

from cyclopts import Parameter

from actors.row_changes import Levels
from rpc.transport.server_options import MESSAGE_BYTES_MAX
from rpc.transport.tls_files import TlsFiles
from rpc.transport.transport_name import TransportName
from stockkeeper.broker_url import broker_url
from stockkeeper.command_line.parameters import SECONDS, DatabaseUrl, whole
from stockkeeper.command_line.token_options import TokenOptions
from stockkeeper.config import DEFAULT_DATABASE_URL, DEFAULT_PORT, ConfigurationError, ServeConfig
from stockkeeper.logs import configure_logging
from supervisor.limits import Limits


def serve(
    *,
    host: Annotated[str, Parameter(env_var="GRPC_HOST")] = "localhost",
    port: Annotated[int, whole(0, 65_535), Parameter(env_var="GRPC_PORT")] = DEFAULT_PORT,
    database_url: DatabaseUrl = DEFAULT_DATABASE_URL,
    frontends: Annotated[int, whole(0, 64), Parameter(env_var="GRPC_FRONTENDS")] = 0,
    transport: Annotated[TransportName | None, Parameter(env_var="STOCKKEEPER_TRANSPORT")] = None,
    message_bytes_max: Annotated[
        int, whole(1_024, MESSAGE_BYTES_MAX), Parameter(env_var="MESSAGE_BYTES_MAX")
    ] = MESSAGE_BYTES_MAX,
    tls_cert: Annotated[str, Parameter(env_var="GRPC_TLS_CERT")] = "",
    tls_key: Annotated[str, Parameter(env_var="GRPC_TLS_KEY")] = "",
    tls_client_ca: Annotated[str, Parameter(env_var="GRPC_TLS_CLIENT_CA")] = "",
    insecure_network: Annotated[bool, Parameter(negative="")] = False,
    keys_file: Annotated[str, Parameter(env_var="GRPC_KEYS_FILE")] = "",
    tokens: TokenOptions = TokenOptions(),  # noqa: B008 - immutable
    no_reflection: Annotated[bool, Parameter(negative="")] = False,
    grace_s: Annotated[float, SECONDS] = 10.0,
    keep_days: Annotated[int | None, whole(1, 36_500), Parameter(env_var="KEEP_DAYS")] = None,
    default_min_stock: Annotated[int, whole(0), Parameter(env_var="DEFAULT_MIN_STOCK")] = 0,
    default_max_stock: Annotated[int, whole(0), Parameter(env_var="DEFAULT_MAX_STOCK")] = 0,
    default_reorder_point: Annotated[int, whole(0), Parameter(env_var="DEFAULT_REORDER_POINT")] = 0,
    events_to: Annotated[str, Parameter(env_var="EVENTS_TO")] = "",
    consume: Annotated[str, Parameter(env_var="EVENTS_FROM")] = "",
    events_exchange: Annotated[str, Parameter(env_var="RABBITMQ_EXCHANGE_INVENTORY")] = "inventory_events",
    sample: Annotated[bool, Parameter(negative="")] = False,
    log_level: Annotated[str, Parameter(env_var="LOG_LEVEL")] = "info",
) -> None:
    """Serve the inventory until SIGTERM or SIGINT.

    Parameters
    ----------
    host
        What to listen on; localhost means IPv4 and IPv6.
    port
        Where to listen; 0 chooses a free port.
    frontends
        How many processes share the port and end gRPC, on a machine with cores to spare; 0 keeps it in this one.
    transport
        What carries the calls: gRPC's core or grpc.aio, which is slower; by default the core, if it was tried with the
        installed grpcio.
    message_bytes_max
        How many bytes a caller's message may have, also after it was decompressed.
    tls_cert
        A file with the certificate that callers are shown, and those that lead to one they know, in PEM format. It is
        read again when it changes.
    tls_key
        A file with the certificate's key, without a password.
    tls_client_ca
        A file with the certificates of those who must have signed the callers' certificates: mutual TLS.
    insecure_network
        Serve other machines without TLS: whoever reaches the port can read and change the stock.
    keys_file
        A file with the hashes of the keys that callers must have, and what each allows; see `stockkeeper keys`. It is
        read again when it changes.
    no_reflection
        Do not say what services and messages there are.
    grace_s
        How many seconds calls under way may go on after a SIGTERM.
    keep_days
        Move reservations that ended, ledger lines and idempotency keys out when they are older than this many days;
        all are kept by default.
    default_min_stock
        The minimum of a row that is made without one.
    default_max_stock
        The maximum of a row that is made without one; 0 for none.
    default_reorder_point
        The reorder point of a row that is made without one.
    events_to
        Run a relay beside the server, which publishes everything that happens there: amqp://host/ or nats://host.
    consume
        Run a consumer beside the server, which does what the catalog's and the orders' events say: amqp://host/ or
        nats://host.
    events_exchange
        RabbitMQ's topic exchange, or the name of NATS' stream, for what these publish.
    sample
        Load a sample stock if there is none.
    log_level
        debug, info, warning or error.
    """
    from stockkeeper.serving.serve import serve as run

    if log_level.lower() not in ("debug", "info", "warning", "error"):
        raise ConfigurationError(f"The log level must be debug, info, warning or error, not {log_level!r}.")
    if 0 < default_max_stock < default_min_stock:
        raise ConfigurationError("The default maximum must be 0 or at least the default minimum.")
    configure_logging(log_level)
    run(
        ServeConfig(
            host=host,
            port=port,
            database_url=database_url,
            frontends=frontends,
            transport=transport,
            message_bytes_max=message_bytes_max,
            tls=_tls_files(tls_cert, tls_key, tls_client_ca),
            insecure_network=insecure_network,
            keys_file=keys_file,
            tokens=tokens.settings(),
            has_reflection=not no_reflection,
            grace_s=grace_s,
            sample=sample,
            events_to=broker_url(events_to),
            consume=broker_url(consume),
            events_exchange=events_exchange,
            limits=Limits(
                keep_days=keep_days or 0, levels=Levels(default_min_stock, default_max_stock, default_reorder_point)
            ),
        )
    )


def _tls_files(certificate: str, key: str, client_ca: str) -> TlsFiles | None:
    if bool(certificate) != bool(key):
        raise ConfigurationError("TLS needs both a certificate and its key: --tls-cert and --tls-key.")
    if client_ca and not certificate:
        raise ConfigurationError("Callers' certificates need the server's: --tls-client-ca goes with --tls-cert.")
    return TlsFiles(certificate, key, client_ca) if certificate else None
