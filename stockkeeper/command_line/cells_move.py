"""`stockkeeper cells move`: an organization goes from one cell to another while both serve."""

import logging
import sys

import anyio
import msgspec

from actors.unavailable import Unavailable
from cells.cell_map import Cell, CellMap
from rpc.frontends.link_tls import LinkTls
from rpc.frontends.owner_links import OwnerLinks
from rpc.transport.tls_files import TlsFiles
from stockkeeper.command_line.exit_status import EXIT_FAILURE
from stockkeeper.command_line.output import say
from stockkeeper.command_line.progress import working
from stockkeeper.config import ConfigurationError
from stockkeeper.organization_mover import MovedOrganization, NotMoved, OrganizationMover
from stockkeeper.serving.link_settings import check_reachable, link_tls

REQUESTS_MAX = 100
REACHED_WITHIN_S = 10.0
PAUSE_S = 0.02


def move(there: CellMap, organization_id: str, cell: str, files: TlsFiles | None, *, json: bool) -> int:
    """Move it, or finish what an earlier try began.

    Args:
        files: what links to other machines show.

    Raises:
        ConfigurationError: the map has no such cell, or a cell is on another machine and nothing would be encrypted.
    """
    if cell not in there.cells:
        raise ConfigurationError(f"Say where to: --to {'|'.join(sorted(there.cells))}.")
    tls = link_tls(files)
    check_reachable(there, tls)
    logging.getLogger("rpc").addHandler(logging.NullHandler())  # why a cell is away is in the sentence
    try:
        with working("Moving and checking"):
            moved = anyio.run(_moved, there, organization_id, cell, tls)
    except (NotMoved, Unavailable) as error:
        cause = error.message if isinstance(error, Unavailable) else str(error)
        sys.stderr.write(f"{organization_id} was not moved: {cause}.\n")
        return EXIT_FAILURE
    if json:
        say(msgspec.json.encode({"organization": organization_id, "cell": cell, **msgspec.to_builtins(moved)}).decode())
        return 0
    _say(there, organization_id, cell, moved)
    return 0


async def _moved(there: CellMap, organization_id: str, cell: str, tls: LinkTls | None) -> MovedOrganization:
    links = OwnerLinks(REQUESTS_MAX, lambda: None, tls)
    links.follow(there)
    try:
        with anyio.move_on_after(REACHED_WITHIN_S):
            while not all(links.owner_of(name).serving for name in there.cells):  # noqa: ASYNC110 - links do not tell
                await anyio.sleep(PAUSE_S)
        if away := [_away(links, one) for one in there.cells.values() if not links.owner_of(one.name).serving]:
            raise NotMoved(f"within {REACHED_WITHIN_S:g} s {' and '.join(away)}")
        owners = {name: links.owner_of(name) for name in there.cells}
        return await OrganizationMover(owners, organization_id, cell).run()
    finally:
        links.close()


def _away(links: OwnerLinks, cell: Cell) -> str:
    reason = links.owner_of(cell.name).why_away or "it does not serve"
    return f"the cell {cell.name} was not reached at {cell.address} ({reason})"


def _say(there: CellMap, organization_id: str, cell: str, moved: MovedOrganization) -> None:
    if moved.source:
        came = f"{moved.rows} rows came from {moved.source}, and all agrees"
        took = f"It took {moved.seconds:.1f} s, of which its changes waited for {moved.frozen_s:.1f} s."
        say(f"{organization_id} is in {cell} now: {came}. {took}")
    else:
        say(f"{organization_id} is in {cell}.")
    if not moved.is_dropped:
        say("A relay has not passed on all that happened where it was before: run this again to delete its rows there.")
    if there.cell_of(organization_id).name != cell:
        line = f"{msgspec.json.encode(organization_id).decode()} = {msgspec.json.encode(cell).decode()}"
        say(f"Routers find it there. For those that start: version {there.version + 1} of the map, with {line}.")
