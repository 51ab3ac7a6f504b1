"""Where a page of transfers ends: one rule for every adapter."""

from collections.abc import Iterable

from actors.queries import ListTransfers
from actors.transfer_records import TransferRecord
from actors.views import TransferPage


def cut_transfers(found: Iterable[TransferRecord], query: ListTransfers) -> TransferPage:
    """The page that a query asks for.

    Args:
        found: those shipped last first, and whole; one more than belongs on the page, if there are more.
    """
    page: list[TransferRecord] = []
    lines = 0
    for transfer in found:
        lines += len(transfer.lines)
        if len(page) == query.limit or (page and lines > query.lines_max):
            return TransferPage(tuple(page), (page[-1].shipped_at_ms, page[-1].transfer_id))
        page.append(transfer)
    return TransferPage(tuple(page), None)
