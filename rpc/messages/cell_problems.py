"""What a caller is told that asks a cell which may not serve the organization.

FAILED_PRECONDITION, and no UNAVAILABLE: the same cell will not serve it either if it is asked again. A router looks for
the cell that does, and a client that is told to go on by `moved_to` has nothing to undo.
"""

from grpc import StatusCode

from actors.cell_records import WrongCell
from rpc.messages.status import Problem


def describe_wrong_cell(refusal: WrongCell) -> Problem:
    if not refusal.organization_id:
        message = "This is of no organization, and is asked of a cell's own server"
    elif refusal.moved_to:
        message = f"Organization {refusal.organization_id} has moved to cell {refusal.moved_to}"
    else:
        message = f"Organization {refusal.organization_id} is not in cell {refusal.cell}"
    metadata = {
        **{"organization_id": refusal.organization_id, "cell": refusal.cell},
        **{"map_version": str(refusal.version or ""), "moved_to": refusal.moved_to},
    }
    return Problem(StatusCode.FAILED_PRECONDITION, "WRONG_CELL", message, metadata)
