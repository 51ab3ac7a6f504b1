"""`stockkeeper cells move`: an organization goes from one cell to another while both serve."""

import sys

import anyio
import msgspec

from actors.unavailable import Unavailable
from cells.cell_map import CellMap
from rpc.frontends.owner_links import OwnerLinks
from stockkeeper.command_line.exit_status import EXIT_FAILURE
from stockkeeper.command_line.output import say
from stockkeeper.command_line.progress import working
from stockkeeper.config import ConfigurationError
from stockkeeper.organization_mover import MovedOrganization, NotMoved, OrganizationMover

REQUESTS_MAX = 100
REACHED_WITHIN_S = 10.0
PAUSE_S = 0.02


def move(there: CellMap, organization_id: str, cell: str, *, json: bool) -> int:
    """Move it, or finish what an earlier try began.

    Raises:
        ConfigurationError: the map has no such cell.
    """
    if cell not in there.cells:
        raise ConfigurationError(f"Say where to: --to {'|'.join(sorted(there.cells))}.")
    try:
        with working("Moving and checking"):
            moved = anyio.run(_moved, there, organization_id, cell)
    except (NotMoved, Unavailable) as error:
        cause = error.message if isinstance(error, Unavailable) else str(error)
        sys.stderr.write(f"{organization_id} was not moved: {cause}.\n")
        return EXIT_FAILURE
    if json:
        say(msgspec.json.encode({"organization": organization_id, "cell": cell, **msgspec.to_builtins(moved)}).decode())
        return 0
    _say(there, organization_id, cell, moved)
    return 0


async def _moved(there: CellMap, organization_id: str, cell: str) -> MovedOrganization:
    links = OwnerLinks(REQUESTS_MAX, lambda: None)
    links.follow(there)
    try:
        with anyio.move_on_after(REACHED_WITHIN_S):
            while not all(links.owner_of(name).serving for name in there.cells):  # noqa: ASYNC110 - links do not tell
                await anyio.sleep(PAUSE_S)
        owners = {name: links.owner_of(name) for name in there.cells}
        return await OrganizationMover(owners, organization_id, cell).run()
    finally:
        links.close()


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
