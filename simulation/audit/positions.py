"""The position of one answer: the smallest one that it may have and whose state explains it."""

from collections.abc import Callable, Sequence

from actors.records import VariantKey
from simulation.audit.replay import Replay
from simulation.audit.timeline import between
from simulation.audit.wrong import Wrong

Explains = Callable[[int], bool]
"""Whether the state after that LSN explains the answer."""


class Positions:
    """Finds for an answer the place in the journal that explains it.

    Args:
        replay: the journal.
    """

    def __init__(self, replay: Replay) -> None:
        self._replay = replay

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._replay!r}>"

    def _smallest(
        self, lsns: Sequence[Sequence[int]], explains: Explains, low: int, high: int, guarantee: str, answer: object
    ) -> int:
        for lsn in between(lsns, low, high):
            if explains(lsn):
                return lsn
        sentence = f"got {answer!r}, which no state from LSN {low} to {high} explains"
        if any(explains(lsn) for lsn in between(lsns, 0, low)):
            raise Wrong(guarantee, sentence + ", but an older one does", low)
        if any(explains(lsn) for lsn in between(lsns, high, self._replay.last_lsn)):
            raise Wrong("G3", sentence + ", but one does that was not durable then", high)
        raise Wrong(guarantee, sentence, high)

    def _row_lsns(self, organization_id: str, variant_ids: Sequence[str]) -> list[Sequence[int]]:
        replay = self._replay
        lsns: list[Sequence[int]] = [
            replay.rows[key].lsns
            for variant_id in variant_ids
            for key in replay.rows_of_variant.get(VariantKey(organization_id, variant_id), ())
        ]
        return [*lsns, replay.warehouses.lsns.get(organization_id, [])]  # one may have been closed
