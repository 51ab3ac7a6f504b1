"""Where else the goods are that a warehouse falls short of."""

from collections.abc import Iterable
from heapq import nsmallest

from actors.bounds import ALTERNATIVES_MAX
from actors.outcomes import Alternative
from actors.planner import Free, Search
from actors.turn import Turn


class Elsewhere:
    """The warehouses that have the most of a variant: looked for once, however many of its lines fall short.

    Args:
        free: pieces by variant and warehouse, as they are when the first is asked for.
    """

    def __init__(self, free: Free) -> None:
        self._free = free
        self._fullest: dict[str, list[Alternative]] = {}

    def __repr__(self) -> str:
        return f"<Elsewhere variants={len(self._fullest)}/{len(self._free)}>"

    def look(self, variant_ids: Iterable[str], search: Search) -> Turn[None]:
        """Look for those of all these variants, in steps where the rows are very many."""
        for variant_id in variant_ids:
            if variant_id not in self._fullest:
                if search.is_due(len(self._free.get(variant_id, ()))):
                    yield from search.others_first()
                self._look(variant_id)

    def _look(self, variant_id: str) -> list[Alternative]:
        there = [(-pieces, one) for one, pieces in self._free.get(variant_id, {}).items() if pieces > 0]
        fullest = [Alternative(one, -pieces) for pieces, one in nsmallest(ALTERNATIVES_MAX + 1, there)]
        self._fullest[variant_id] = fullest
        return fullest

    def alternatives_to(self, variant_id: str, warehouse_id: str) -> tuple[Alternative, ...]:
        """The others that have some of the variant, those with the most first and at most `ALTERNATIVES_MAX`."""
        fullest = self._fullest.get(variant_id)
        if fullest is None:
            fullest = self._look(variant_id)
        return tuple([one for one in fullest if one.warehouse_id != warehouse_id][:ALTERNATIVES_MAX])
