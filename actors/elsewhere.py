"""Where else the goods are that a warehouse falls short of."""

from heapq import nsmallest

from actors.bounds import ALTERNATIVES_MAX
from actors.outcomes import Alternative
from actors.planner import Free


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

    def alternatives_to(self, variant_id: str, warehouse_id: str) -> tuple[Alternative, ...]:
        """The others that have some of the variant, those with the most first and at most `ALTERNATIVES_MAX`."""
        fullest = self._fullest.get(variant_id)
        if fullest is None:
            there = [(-pieces, one) for one, pieces in self._free.get(variant_id, {}).items() if pieces > 0]
            fullest = [Alternative(one, -pieces) for pieces, one in nsmallest(ALTERNATIVES_MAX + 1, there)]
            self._fullest[variant_id] = fullest
        return tuple([one for one in fullest if one.warehouse_id != warehouse_id][:ALTERNATIVES_MAX])
