"""`stockkeeper serve`: runs the server."""

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter

from rpc.network_bounds import DEFAULT_BOUNDS, NetworkBounds
from rpc.transport.server_options import MESSAGE_BYTES_MAX
from rpc.transport.transport_name import TransportName
from stockkeeper.command_line.bound_options import LimitsOptions, NetworkOptions
from stockkeeper.command_line.cell_options import NO_CELL, Cells
from stockkeeper.command_line.database_options import DEFAULT_DATABASE, Database
from stockkeeper.command_line.link_options import NO_LINKS, Links
from stockkeeper.command_line.parameters import LOG_LEVELS, SECONDS, ConfigFile, whole
from stockkeeper.command_line.serve_options import (
    NO_EVENTS,
    NO_LEVELS,
    WITHOUT_TLS,
    Events,
    LevelOptions,
    StockLevels,
    Tls,
)
from stockkeeper.command_line.token_options import TokenOptions
from stockkeeper.command_line.watch_options import NOT_WATCHED, Watch
from stockkeeper.config import DEFAULT_PORT, ConfigurationError, ServeConfig
from stockkeeper.logs import LogFormat, configure_logging
from supervisor.limits import Limits

KEEP_DAYS = 730


def serve(
    *,
    config: ConfigFile = "",
    host: Annotated[str, Parameter(env_var="GRPC_HOST")] = "localhost",
    port: Annotated[int, whole(0, 65_535), Parameter(env_var="GRPC_PORT")] = DEFAULT_PORT,
    database: Database = DEFAULT_DATABASE,
    standby: Annotated[bool, Parameter(negative="")] = False,
    frontends: Annotated[int, whole(0, 64), Parameter(env_var="GRPC_FRONTENDS")] = 0,
    transport: Annotated[TransportName | None, Parameter(env_var="STOCKKEEPER_TRANSPORT")] = None,
    message_bytes_max: Annotated[
        int, whole(1_024, MESSAGE_BYTES_MAX), Parameter(env_var="MESSAGE_BYTES_MAX")
    ] = MESSAGE_BYTES_MAX,
    tls: Tls = WITHOUT_TLS,
    insecure_network: Annotated[bool, Parameter(negative="")] = False,
    keys_file: Annotated[str, Parameter(env_var="GRPC_KEYS_FILE")] = "",
    tokens: TokenOptions = TokenOptions(),  # noqa: B008 - immutable
    no_reflection: Annotated[bool, Parameter(negative="")] = False,
    rate_limit_per_minute: Annotated[int, whole(0), Parameter(env_var="RATE_LIMIT_PER_MINUTE")] = 0,
    grace_s: Annotated[float, SECONDS] = 10.0,
    keep_days: Annotated[
        int, whole(0, 36_500), Parameter(env_var=("KEEP_DAYS", "MOVEMENT_RETENTION_DAYS"))
    ] = KEEP_DAYS,
    levels: StockLevels = NO_LEVELS,
    events: Events = NO_EVENTS,
    cells: Cells = NO_CELL,
    links: Links = NO_LINKS,
    sample: Annotated[bool, Parameter(negative="")] = False,
    watch: Watch = NOT_WATCHED,
    log_level: Annotated[str, Parameter(env_var="LOG_LEVEL")] = "info",
    log_format: Annotated[LogFormat, Parameter(env_var="LOG_FORMAT")] = "auto",
    limits: Annotated[LimitsOptions, Parameter(name="*", group="Bounds of the core")] = Limits(),  # noqa: B008
    bounds: Annotated[NetworkOptions, Parameter(name="*", group="Bounds of the network")] = DEFAULT_BOUNDS,
) -> int:
    """Serve the inventory until SIGTERM or SIGINT.

    Parameters
    ----------
    host
        What to listen on; localhost means IPv4 and IPv6.
    port
        Where to listen; 0 chooses a free port.
    standby
        On Postgres: wait, ready to serve, while another server has the database, and take it over when that one ends
        or gives no sign of life for some seconds.
    frontends
        How many processes share the port and end gRPC, on a machine with cores to spare; 0 keeps it in this one.
    transport
        What carries the calls: gRPC's core or grpc.aio, which is slower; by default the core, if it was tried with the
        installed grpcio.
    message_bytes_max
        How many bytes a caller's message may have, also after it was decompressed.
    insecure_network
        Serve other machines without TLS: any caller that reaches the port can read and change the stock.
    keys_file
        A file with the hashes of the keys that callers must have, and what each allows; see `stockkeeper keys`. It is
        read again when it changes.
    no_reflection
        Do not say what services and messages there are.
    rate_limit_per_minute
        How often an organization may ask in a minute; 0 for as often as it likes.
    grace_s
        How many seconds calls under way may go on after a SIGTERM.
    keep_days
        Move reservations that ended, ledger lines and idempotency keys out when they are older than this many days; 0
        keeps all.
    sample
        Load a sample stock if there is none.
    log_level
        debug, info, warning or error.
    log_format
        json or console, which is for people; auto is console on a terminal and json elsewhere.
    """
    begin_log(log_level, log_format)
    return _serve(
        ServeConfig(
            host=host,
            port=port,
            database_url=cells.database_url(database.url),
            stands_by=standby,
            frontends=frontends,
            transport=transport,
            message_bytes_max=message_bytes_max,
            tls=tls.files,
            insecure_network=insecure_network,
            keys_file=keys_file,
            tokens=tokens.settings(),
            has_reflection=not no_reflection,
            grace_s=grace_s,
            sample=sample,
            **asdict(events),
            limits=_limits(limits, keep_days, levels),
            bounds=network_bounds(bounds),
            rate_limit_per_minute=rate_limit_per_minute,
            watch=watch.config(),
            cells=links.added_to(cells.config),
            tree=cells.tree,
        )
    )


def _serve(config: ServeConfig) -> int:
    if config.tree is not None:
        from stockkeeper.serving.serve_cells import serve_cells

        return serve_cells(config)
    from stockkeeper.serving.serve import serve as run

    run(config)


def begin_log(level: str, log_format: LogFormat) -> None:
    """Log from now on. Raises `ConfigurationError`: there is no such level."""
    if level.lower() not in LOG_LEVELS:
        raise ConfigurationError(f"The log level must be debug, info, warning or error, not {level!r}.")
    configure_logging(level, log_format)


def _limits(options: Limits, keep_days: int, levels: LevelOptions) -> Limits:
    named = {name: getattr(options, name) for name in Limits.__struct_fields__ if hasattr(options, name)}
    return Limits(**{**named, "keep_days": keep_days, "levels": levels.levels})


def network_bounds(options: NetworkBounds) -> NetworkBounds:
    """The bounds. Raises `ConfigurationError` where they contradict each other."""
    bounds = NetworkBounds(**{name: getattr(options, name) for name in NetworkBounds.__struct_fields__})
    if bounds.metadata_bytes_max < bounds.metadata_bytes_soft_max:
        raise ConfigurationError("--metadata-bytes-max must be at least --metadata-bytes-soft-max.")
    return bounds
