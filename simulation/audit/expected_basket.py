"""What a basket that says from where its goods may come is served with, written a second time for the auditor.

"Each wish from one warehouse: the first of its list that leaves the others of its variant served too, or the one that
the policy names. Where that cannot be, and only there, a wish is split, if the basket allows it, into as many pieces as
there are; and if it is content with less, it gets that."
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

from actors.basket_commands import ReserveBasket, Wish
from actors.commands import Line
from actors.outcomes import InsufficientStock, Refusal, Shortage
from actors.warehouse_outcomes import ClosedRow, WarehouseInactive
from simulation.audit.choice import Choice, choose
from simulation.audit.expected import open_of
from simulation.audit.refused_baskets import elsewhere, refusal_by
from simulation.audit.sites import Sites

Rows = Mapping[str, int]


class ExpectedBasket(NamedTuple):
    """What becomes of a basket in a state.

    Args:
        refusal: why it is refused; None if it is not.
        there: by variant, how many pieces it gets.
        served: for each wish the warehouses that serve it, where the rule leaves no choice.
    """

    refusal: Refusal | None
    there: dict[str, int]
    served: list[list[str] | None]


def expect(request: ReserveBasket, everything: dict[str, dict[str, int]], sites: Sites) -> ExpectedBasket:
    """What becomes of the basket in this state."""
    named = [ClosedRow(w.variant_id, one) for w in request.wishes for one in w.warehouse_ids if one in sites.shut]
    if named:
        return ExpectedBasket(WarehouseInactive(tuple(dict.fromkeys(named))), {}, [])
    free = open_of(everything, sites)
    lines = _lines(request.wishes, free, sites)
    choices = [
        choice._replace(found=True) if not line.warehouse_id and everything.get(line.variant_id) else choice
        for line, choice in zip(lines, choose(lines, free, sites), strict=True)
    ]
    unserved = {line.variant_id for line, choice in zip(lines, choices, strict=True) if not choice.fits}
    served: list[list[str] | None] = [
        None if line.variant_id in unserved else [choice.warehouse_id]
        for line, choice in zip(lines, choices, strict=True)
    ]
    there = {line.variant_id: 0 for line in lines}
    for line in lines:
        there[line.variant_id] += 0 if line.variant_id in unserved else line.quantity
    for variant in unserved:
        there[variant] = _there(request, variant, free.get(variant, {}), sites)
    return ExpectedBasket(_refusal(request, lines, choices, free, there), there, served)


def _lines(wishes: Sequence[Wish], free: dict[str, dict[str, int]], sites: Sites) -> list[Line]:
    """By trying every warehouse of every list, the first ones before others."""
    lines = [Line(wish.variant_id, "".join(wish.warehouse_ids[:1]), wish.quantity) for wish in wishes]
    for variant in {wish.variant_id for wish in wishes if len(wish.warehouse_ids) > 1}:
        places = [place for place, wish in enumerate(wishes) if wish.variant_id == variant]
        rows = free.get(variant, {})
        for chosen in product(*[wishes[place].warehouse_ids or ("",) for place in places]):
            its = [Line(variant, one, wishes[place].quantity) for place, one in zip(places, chosen, strict=True)]
            if all(choice.fits for choice in choose(its, {variant: rows}, sites)):
                break
        else:
            its = [Line(variant, _fullest(wishes[place], rows), wishes[place].quantity) for place in places]
        for place, line in zip(places, its, strict=True):
            lines[place] = line
    return lines


def _fullest(wish: Wish, rows: Rows) -> str:
    return sorted(wish.warehouse_ids, key=lambda one: -rows.get(one, -1))[0] if wish.warehouse_ids else ""


def _there(request: ReserveBasket, variant: str, rows: Rows, sites: Sites) -> int:
    wishes = [wish for wish in request.wishes if wish.variant_id == variant]
    if request.allow_split:
        return matched(wishes, rows)
    return _of_each(wishes, rows, sites) if request.allow_partial else 0


def matched(wishes: Sequence[Wish], rows: Rows) -> int:
    """How many pieces of the wishes find a piece of their own: one after another, by trying to move the others."""
    pieces = [wish.warehouse_ids or tuple(rows) for wish in wishes for _ in range(wish.quantity)]
    holders: dict[str, list[int]] = {one: [] for one in rows}

    def finds(piece: int, seen: set[str]) -> bool:
        for one in pieces[piece]:
            if one in seen or one not in holders:
                continue
            seen.add(one)
            if len(holders[one]) < rows[one]:
                holders[one].append(piece)
                return True
            for place, other in enumerate(holders[one]):
                if finds(other, seen):
                    holders[one][place] = piece
                    return True
        return False

    return sum(finds(piece, set()) for piece in range(len(pieces)))


def _of_each(wishes: Sequence[Wish], rows: Rows, sites: Sites) -> int:
    """What one warehouse gives of each wish. It hangs on the policy which one where several could."""
    left, given = dict(rows), 0
    for wish in wishes:
        places = wish.warehouse_ids or sorted(left, key=lambda one: (-sites.priorities.get(one, 0), -left[one], one))
        best = [one for one in places if left.get(one, 0) >= wish.quantity] or sorted(
            (one for one in places if left.get(one, 0) > 0), key=lambda one: -left[one]
        )
        if best:
            taken = min(wish.quantity, left[best[0]])
            left[best[0]] -= taken
            given += taken
    return given


def _refusal(
    request: ReserveBasket,
    lines: Sequence[Line],
    choices: Sequence[Choice],
    free: dict[str, dict[str, int]],
    there: Mapping[str, int],
) -> Refusal | None:
    asked: dict[str, int] = {}
    for wish in request.wishes:
        asked[wish.variant_id] = asked.get(wish.variant_id, 0) + wish.quantity
    short = [variant for variant, pieces in asked.items() if there[variant] < pieces]
    if not short:
        return None
    is_known = all(choice.found for choice in choices)
    if is_known and request.allow_partial and any(there.values()):
        return None
    if is_known and request.allow_split:
        return InsufficientStock(
            tuple([Shortage(one, "", asked[one], there[one], elsewhere(free, one, "")) for one in short])
        )
    return refusal_by(lines, free, choices)
