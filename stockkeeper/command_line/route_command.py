"""`stockkeeper route`: a router before several cells."""

from typing import Annotated

from cyclopts import Parameter

from rpc.frame import CALLS_MAX
from rpc.network_bounds import DEFAULT_BOUNDS
from rpc.transport.server_options import MESSAGE_BYTES_MAX
from rpc.transport.transport_name import TransportName
from stockkeeper.command_line.bound_options import NetworkOptions
from stockkeeper.command_line.link_options import LINK_IN_THE_CLEAR, LinkTls
from stockkeeper.command_line.parameters import SECONDS, ConfigFile, whole
from stockkeeper.command_line.serve_command import begin_log, network_bounds
from stockkeeper.command_line.serve_options import WITHOUT_TLS, Tls
from stockkeeper.command_line.token_options import TokenOptions
from stockkeeper.command_line.watch_options import NOT_WATCHED, Watch
from stockkeeper.config import DEFAULT_PORT, ConfigurationError, RouteConfig
from stockkeeper.logs import LogFormat


def route(
    *,
    config: ConfigFile = "",
    cells_map: Annotated[str, Parameter(env_var="STOCKKEEPER_CELLS_MAP")] = "",
    host: Annotated[str, Parameter(env_var="GRPC_HOST")] = "localhost",
    port: Annotated[int, whole(0, 65_535), Parameter(env_var="GRPC_PORT")] = DEFAULT_PORT,
    calls_max: Annotated[int, whole(1), Parameter(env_var="STOCKKEEPER_CALLS_MAX")] = CALLS_MAX,
    cell_wait_s: Annotated[float, SECONDS, Parameter(env_var="STOCKKEEPER_CELL_WAIT_S")] = 10.0,
    transport: Annotated[TransportName | None, Parameter(env_var="STOCKKEEPER_TRANSPORT")] = None,
    message_bytes_max: Annotated[
        int, whole(1_024, MESSAGE_BYTES_MAX), Parameter(env_var="MESSAGE_BYTES_MAX")
    ] = MESSAGE_BYTES_MAX,
    tls: Tls = WITHOUT_TLS,
    links: LinkTls = LINK_IN_THE_CLEAR,
    insecure_network: Annotated[bool, Parameter(negative="")] = False,
    keys_file: Annotated[str, Parameter(env_var="GRPC_KEYS_FILE")] = "",
    tokens: TokenOptions = TokenOptions(),  # noqa: B008 - immutable
    no_reflection: Annotated[bool, Parameter(negative="")] = False,
    grace_s: Annotated[float, SECONDS] = 10.0,
    watch: Watch = NOT_WATCHED,
    log_level: Annotated[str, Parameter(env_var="LOG_LEVEL")] = "info",
    log_format: Annotated[LogFormat, Parameter(env_var="LOG_FORMAT")] = "auto",
    bounds: Annotated[NetworkOptions, Parameter(name="*", group="Bounds of the network")] = DEFAULT_BOUNDS,
) -> None:
    """Route calls to the cells of a map until SIGTERM or SIGINT.

    Any number of routers may run. What callers show, may do and may take is as with `serve`.

    Parameters
    ----------
    cells_map
        A file with the map of the cells; it is read again when it changes.
    host
        What to listen on; localhost means IPv4 and IPv6.
    port
        Where to listen; 0 chooses a free port.
    calls_max
        How many calls are routed at once; more are UNAVAILABLE.
    cell_wait_s
        How many seconds a call waits for a cell that is away before it is UNAVAILABLE.
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
    grace_s
        How many seconds calls under way may go on after a SIGTERM.
    log_level
        debug, info, warning or error.
    log_format
        json or console, which is for people; auto is console on a terminal and json elsewhere.
    """
    from stockkeeper.serving.route import route as run

    if not cells_map:
        raise ConfigurationError("A router needs the map of the cells: --cells-map.")
    begin_log(log_level, log_format)
    run(
        RouteConfig(
            map_file=cells_map,
            host=host,
            port=port,
            calls_max=calls_max,
            cell_wait_s=cell_wait_s,
            transport=transport,
            message_bytes_max=message_bytes_max,
            tls=tls.files,
            insecure_network=insecure_network,
            keys_file=keys_file,
            tokens=tokens.settings(),
            has_reflection=not no_reflection,
            grace_s=grace_s,
            watch=watch.config(),
            bounds=network_bounds(bounds),
            link_tls=links.files,
        )
    )
