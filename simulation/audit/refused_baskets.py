"""What a basket that does not fit is refused with, written a second time for the auditor."""

from collections.abc import Sequence

from actors.commands import Line
from actors.outcomes import Alternative, InsufficientStock, MissingStock, Shortage, StockNotFound
from simulation.audit.choice import Choice


def refusal_by(
    lines: Sequence[Line], free: dict[str, dict[str, int]], choices: Sequence[Choice]
) -> StockNotFound | InsufficientStock | None:
    """The refusal of a basket of which these are the choices; None if it fits."""
    if all(choice.fits for choice in choices):
        return None
    missing: list[MissingStock] = []
    short: dict[tuple[str, str], Shortage] = {}
    for line, choice in zip(lines, choices, strict=True):
        if not choice.found:
            lacks = MissingStock(line.variant_id, line.warehouse_id, elsewhere(free, line.variant_id, ""))
            missing += [lacks] if lacks not in missing else []
        elif not choice.fits:
            key = (line.variant_id, choice.warehouse_id)
            asked = [a.quantity for a, p in zip(lines, choices, strict=True) if (a.variant_id, p.warehouse_id) == key]
            short[key] = Shortage(*key, sum(asked), choice.available, elsewhere(free, *key))
    shortages = tuple(short.values())
    if not missing:
        return InsufficientStock(shortages)
    first = missing[0]
    return StockNotFound(first.variant_id, first.warehouse_id, first.alternatives, tuple(missing[1:]), shortages)


def elsewhere(free: dict[str, dict[str, int]], variant: str, warehouse: str) -> tuple[Alternative, ...]:
    """The five other warehouses with the most of a variant."""
    ranked = sorted((-pieces, place) for place, pieces in free.get(variant, {}).items() if place != warehouse)
    return tuple(Alternative(place, -pieces) for pieces, place in ranked[:5] if pieces)
