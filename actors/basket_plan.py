"""From a basket of wishes to the rows that serve it, or to what is in the way."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from actors.basket import before_a_look, refusal_of
from actors.basket_commands import ReserveBasket
from actors.closed_warehouses import free_elsewhere, known_elsewhere, refuse_closed
from actors.commands import Line
from actors.elsewhere import Elsewhere
from actors.outcomes import InsufficientStock, Refused, Shortage
from actors.planner import Free, Search
from actors.records import StockRecord
from actors.serving import ServedBasket, serving
from actors.sourcing import Sourcing
from actors.stock_actor import StockActor
from actors.turn import Turn
from actors.variant_stock import VariantStock

Look = Mapping[str, StockRecord]
"""A variant's rows, by warehouse."""


class PlannedBasket(NamedTuple):
    """Lines, the row that serves each and, where the basket is served in part only, what was seen of its variants."""

    lines: list[Line]
    rows: list[StockActor]
    seen: Sequence[tuple[VariantStock, Look]]

    @property
    def is_true_still(self) -> bool:
        """What was found short is short still: a row that has changed since, or was made, may have more."""
        return all(_look_at(variant) == look for variant, look in self.seen)


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
    search, seen = Search(), []
    free: Free = {key: variant.free() for key, variant in variants.items()}
    found = yield from serving(command, free_elsewhere(free, sourcing.closed), sourcing, search)
    if not found.fits:
        seen = [(variant, _look_at(variant)) for variant in variants.values()]
        if search.has_waited or any(variant.is_undecided for variant in variants.values()):
            free = {key: variant.free_if_rivals_abort() for key, variant in variants.items()}
            found = yield from serving(command, free_elsewhere(free, sourcing.closed), sourcing, Search())
        if not found.fits:
            _see_that_there_is_something(command, found, free, sourcing)
    wishes = command.wishes
    lines = [
        Line(
            wishes[part.place].variant_id, part.warehouse_id if wishes[part.place].warehouse_ids else "", part.quantity
        )
        for part in found.parts
    ]
    rows = [variants[wishes[part.place].variant_id].rows[part.warehouse_id] for part in found.parts]
    return PlannedBasket(lines, rows, () if found.fits else seen)


def _look_at(variant: VariantStock) -> Look:
    return {warehouse_id: row.state.record for warehouse_id, row in variant.rows.items() if row.state.record.exists}


def _see_that_there_is_something(command: ReserveBasket, found: ServedBasket, free: Free, sourcing: Sourcing) -> None:
    """Of a basket that is not served whole: whether it is content with less, and there is some of it.

    Raises:
        Refused: it is not, or there is none, or some of its goods are not known.
    """
    known = [variant_id for variant_id, rows in free.items() if rows]
    placements = known_elsewhere(found.lines, found.placements, known)
    is_known = all(one.found for one in placements)
    if command.allow_partial and found.parts and is_known:
        return
    among = free_elsewhere(free, sourcing.closed)
    if not (command.allow_split and is_known):
        raise Refused(refusal_of(found.lines, placements, among))
    elsewhere = Elsewhere(among)
    short = [Shortage(one, "", *figures, elsewhere.alternatives_to(one, "")) for one, figures in found.short.items()]
    raise Refused(InsufficientStock(tuple(short)))
