"""Planted bugs of goods that come in, are on their way or leave without a reservation."""

from typing import Any

import actors.goods_changes
import supervisor.transactions.goods
from actors.goods_changes import changes_of, received
from actors.records import Delta
from simulation.planted.planting import Patches, bug


@bug("goods that were announced are counted once more when they come in", "G4")
def announced_goods_counted_twice() -> Patches:
    def twice(lines: Any, record: Any) -> Delta:
        delta = received(lines, record)
        return Delta(delta.available, 0, delta.damaged)

    return [(actors.goods_changes, "received", twice)]


@bug("goods that came in damaged are put on sale", "G4")
def damaged_goods_on_sale() -> Patches:
    def on_sale(lines: Any, record: Any) -> Delta:
        delta = received(lines, record)
        return Delta(delta.available + delta.damaged, 0, 0, delta.in_transit)

    return [(actors.goods_changes, "received", on_sale)]


@bug("what a delivery draws down is not looked at again before the decision", "G4")
def drawn_down_as_it_was_planned() -> Patches:
    class Planned(list[Any]):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None

    return [(supervisor.transactions.goods, "changes_of", lambda command, rows: Planned(changes_of(command, rows)))]


@bug("of several lines on one row only the first is moved", "G4")
def lines_of_a_sale_not_summed() -> Patches:
    return [(actors.goods_changes, "_pieces", lambda lines: lines[0].quantity)]
