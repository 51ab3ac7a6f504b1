"""From a basket of wishes to the rows that serve it, or to what is in the way."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from actors.basket import before_a_look, refusal_of
from actors.basket_commands import ReserveBasket
from actors.closed_warehouses import free_elsewhere, known_elsewhere, refuse_closed
from actors.commands import Line
from actors.elsewhere import Elsewhere
from actors.look import look
from actors.outcomes import InsufficientStock, Refused, Shortage
from actors.planner import Free, Search
from actors.serving import ServedBasket, serving
from actors.sourcing import Sourcing
from actors.stock_actor import StockActor
from actors.turn import Turn
from actors.variant_stock import VariantStock


class PlannedBasket(NamedTuple):
    """Lines, the row that serves each and, where the basket is served in part, how often its variants had moved."""

    lines: list[Line]
    rows: list[StockActor]
    seen: Sequence[tuple[VariantStock, int]]

    @property
    def is_true_still(self) -> bool:
        """What was found short is short still: a row that has changed since, or was made, may have more."""
        return all(variant.moves.count == moves for variant, moves in self.seen)


def plan_basket(
    command: ReserveBasket, variants: Mapping[str, VariantStock], sourcing: Sourcing
) -> Turn[PlannedBasket]:
    """The rows that serve a basket. The variants must be pinned.

    Counts on what no rival holds. Where that is not enough it counts on what there is if all rivals abort: the rows
    will make the transaction wait for the rivals' decisions.

    Raises:
        Refused: the basket cannot be served as it allows, not even if every rival aborts (G5), or names a warehouse
            that is closed.
    """
    yield from before_a_look(command.wishes)
    if sourcing.closed:
        named = [Line(wish.variant_id, one, wish.quantity) for wish in command.wishes for one in wish.warehouse_ids]
        refuse_closed(named, sourcing.closed)
    search = Search()
    seen = yield from look(variants, VariantStock.free, search)
    among = yield from free_elsewhere(seen.free, sourcing.closed, search)
    found = yield from serving(command, among, sourcing, search)
    if not found.fits:
        if search.has_waited or any(variant.is_undecided for variant in variants.values()):
            search = Search()
            seen = yield from look(variants, VariantStock.free_if_rivals_abort, search)
            among = yield from free_elsewhere(seen.free, sourcing.closed, search)
            found = yield from serving(command, among, sourcing, search)
        if not found.fits:
            yield from _see_that_there_is_something(command, found, seen.free, among)
    wishes = command.wishes
    lines = [
        Line(
            wishes[part.place].variant_id, part.warehouse_id if wishes[part.place].warehouse_ids else "", part.quantity
        )
        for part in found.parts
    ]
    rows = [variants[wishes[part.place].variant_id].rows[part.warehouse_id] for part in found.parts]
    moves = [] if found.fits else [(variant, seen.moves[variant_id]) for variant_id, variant in variants.items()]
    return PlannedBasket(lines, rows, moves)


def _see_that_there_is_something(command: ReserveBasket, found: ServedBasket, free: Free, among: Free) -> Turn[None]:
    """Of a basket that is not served whole: whether it is content with less, and there is some of it.

    Args:
        free: pieces by variant and warehouse.
        among: the same in those that are active.

    Raises:
        Refused: it is not, or there is none, or some of its goods are not known.
    """
    known = {variant_id for variant_id, rows in free.items() if rows}
    placements = known_elsewhere(found.lines, found.placements, known)
    is_known = all(one.found for one in placements)
    if command.allow_partial and found.parts and is_known:
        return
    if not (command.allow_split and is_known):
        raise Refused((yield from refusal_of(found.lines, placements, among)))
    elsewhere = Elsewhere(among)
    yield from elsewhere.look(found.short, Search())
    short = [Shortage(one, "", *figures, elsewhere.alternatives_to(one, "")) for one, figures in found.short.items()]
    raise Refused(InsufficientStock(tuple(short)))
