"""Planted bugs of baskets that say from where their goods may come."""

from typing import Any

from msgspec.structs import replace

import actors.basket_actor
import actors.basket_plan
import actors.order_explanation
import actors.serving
import actors.spreading
import storage.sql.rows
import supervisor.query_turns
from actors.basket_actor import BasketActor
from actors.basket_commands import ReserveBasket
from actors.basket_plan import PlannedBasket
from actors.order_explanation import line_of
from actors.records import Delta
from actors.views import ExplainedLine, Explanation
from simulation.planted.planting import Patches, bug


@bug("a split takes a piece twice: two wishes get the same pieces of a row", "G2", "G8")
def split_takes_a_piece_twice() -> Patches:
    def reserving(lines: Any, rows: Any) -> Any:
        wanted = {row: line.quantity for line, row in zip(lines, rows, strict=True)}
        return [(row, Delta(-quantity, quantity)) for row, quantity in wanted.items()]

    return [(actors.basket_actor, "reserving", reserving)]


@bug("a split counts as impossible if an earlier wish has what a later one needs", "G5")
def split_gives_up_early() -> Patches:
    def path(flow: Any, choosy: Any, wish: Any, lacking: int) -> Any:
        steps = right(flow, choosy, wish, lacking)
        return steps if len(steps) < 2 else []

    right = actors.spreading._path
    return [(actors.spreading, "_path", path)]


@bug("a partial hold claims what it did not get", "G2")
def partial_hold_claims_all() -> Patches:
    return [(actors.basket_actor, "short_of", lambda command, reservation: ())]


@bug("a wish is split though that is not allowed", "G2")
def split_without_leave() -> Patches:
    def serving(command: ReserveBasket, *rest: Any) -> Any:
        return right(_with(command, allow_split=True), *rest)

    right = actors.serving.serving
    return [(actors.basket_plan, "serving", serving)]


@bug("a basket that must be whole is content with a part", "G2")
def partial_without_leave() -> Patches:
    def plan(command: ReserveBasket, *rest: Any) -> Any:
        return right(_with(command, allow_partial=True), *rest)

    right = actors.basket_plan.plan_basket
    return [(actors.basket_actor, "plan_basket", plan)]


@bug("a list of warehouses is read as if any would do", "G2")
def list_not_looked_at() -> Patches:
    def serving(command: ReserveBasket, *rest: Any) -> Any:
        wishes = tuple(_with(wish, warehouse_ids=()) for wish in command.wishes)
        return right(_with(command, wishes=wishes), *rest)

    right = actors.serving.serving
    return [(actors.basket_plan, "serving", serving)]


@bug("of a list of warehouses the last is tried first", "G4")
def list_backwards() -> Patches:
    def serving(command: ReserveBasket, *rest: Any) -> Any:
        wishes = tuple(_with(wish, warehouse_ids=wish.warehouse_ids[::-1]) for wish in command.wishes)
        return right(_with(command, wishes=wishes), *rest)

    right = actors.serving.serving
    return [(actors.basket_plan, "serving", serving)]


@bug("a part of a basket is held though more has come since it was planned", "G5")
def part_of_an_old_plan() -> Patches:
    return [(PlannedBasket, "is_true_still", True)]


@bug("a basket that was reserved in part is not known again", "G6", "G4")
def partial_basket_not_known() -> Patches:
    def repeated(self: BasketActor, command: ReserveBasket) -> Any:
        latest = self._latest
        if latest is not None and latest.asked and latest.quantity < sum(wish.quantity for wish in command.wishes):
            self.reservations.pop(latest.reservation_id)
        return right(self, command)

    right = BasketActor._repeated_basket
    return [(BasketActor, "_repeated_basket", repeated)]


@bug("after a restart it is forgotten what a basket was asked for", "G3", "G6", "G2", disk="sqlite")
def asked_not_written() -> Patches:
    def reservations(batch: Any, instant: Any) -> Any:
        return ((*row[:-1], "") for row in right(batch, instant))

    right = storage.sql.rows.reservations
    return [(storage.sql.rows, "reservations", reservations)]


def _with(value: Any, **fields: Any) -> Any:
    return replace(value, **fields)


@bug("an explanation forgets what the order holds itself", "G4")
def explanation_forgets_own_goods() -> Patches:
    return [(actors.order_explanation, "pieces_of", lambda reservation, count: {})]


@bug("an explanation takes another basket of an order for the one that it holds", "G4")
def any_basket_is_held() -> Patches:
    def asks(reservation: Any, lines: Any) -> bool:
        return {item.variant_id for item in reservation.items} == {line.variant_id for line in lines} and len(
            reservation.items
        ) == len(lines)

    def held(latest: Any, lines: Any) -> Any:
        items = sorted(latest.items, key=lambda item: item.variant_id)
        found = [
            ExplainedLine(*line_of(a), b.warehouse_id, "held", 0, (), 0) for a, b in zip(lines, items, strict=True)
        ]
        return Explanation(True, tuple(found))

    return [(actors.order_explanation, "asks_for_the_same", asks), (supervisor.query_turns, "held", held)]


@bug("an explanation of a split gives more than there is", "G4")
def split_explained_twice() -> Patches:
    def split(line: Any, parts: Any, short: Any) -> Any:
        found = right(line, parts, None if parts else short)
        return replace(found, parts=tuple(replace(one, quantity=line.quantity) for one in found.parts[:1]))

    right = actors.order_explanation._from_several
    return [(actors.order_explanation, "_from_several", split)]
