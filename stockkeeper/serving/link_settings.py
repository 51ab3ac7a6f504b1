"""Where a cell takes its routers, and which cells a router reaches, seen before anything starts."""

from collections.abc import Sequence

from cells.cell_map import CellMap
from rpc.frontends.link_doors import SOCKET, LinkDoor, PortDoor, UnixDoor, host_and_port
from rpc.frontends.link_tls import LinkTls
from rpc.transport.addresses import ListenError, is_loopback
from rpc.transport.certificates import TlsError
from rpc.transport.tls_files import TlsFiles
from stockkeeper.config import CellsConfig, ConfigurationError

CLEAR = "and nothing is encrypted: give --link-cert, --link-key and --link-ca."


def doors_of(config: CellsConfig, there: CellMap) -> Sequence[LinkDoor]:
    """Where routers come in: the socket that the map names, and where --link-listen says.

    Raises:
        ConfigurationError: others would be served in the clear, or none could come.
    """
    address = there.cells[config.name].address
    doors: list[LinkDoor] = []
    if address.startswith(SOCKET) and not config.link_listen.startswith(SOCKET):
        doors.append(UnixDoor(address.removeprefix(SOCKET)))
    if config.link_listen:
        doors.append(_given_door(config))
    if not doors:
        where = f"Routers look for the cell {config.name} at {address}, and it listens nowhere for them"
        raise ConfigurationError(f"{where}: give --link-listen.")
    return doors


def _given_door(config: CellsConfig) -> LinkDoor:
    if config.link_listen.startswith(SOCKET):
        return UnixDoor(config.link_listen.removeprefix(SOCKET))
    try:
        host, port = host_and_port(config.link_listen)
        if config.link_tls is None and not is_loopback(host):
            raise ConfigurationError(f"Other machines reach --link-listen {config.link_listen}, {CLEAR}")
    except ValueError:
        given = f"--link-listen must be host:port or unix:/path, not {config.link_listen!r}"
        raise ConfigurationError(f"{given}.") from None
    except ListenError as error:
        raise ConfigurationError(str(error)) from None
    return PortDoor(host, port, link_tls(config.link_tls, config.link_name))


def link_tls(files: TlsFiles | None, name: str = "") -> LinkTls | None:
    """What links show. Raises `ConfigurationError` where the files cannot be used."""
    try:
        return LinkTls(files, name) if files is not None else None
    except TlsError as error:
        raise ConfigurationError(str(error)) from None


def check_reachable(there: CellMap, tls: LinkTls | None) -> None:
    """Raises `ConfigurationError` where a cell is on another machine and nothing would be encrypted."""
    for cell in there.cells.values():
        if cell.address.startswith(SOCKET) or tls is not None:
            continue
        try:
            is_here = is_loopback(host_and_port(cell.address)[0])
        except ListenError:
            is_here = False  # its name may be known later
        if not is_here:
            raise ConfigurationError(f"The cell {cell.name} is at {cell.address}, {CLEAR}")
