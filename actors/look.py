"""A look at the stock of a basket's variants: all of it at one instant, in steps where the rows are very many.

A thousand lines of goods that two hundred warehouses have are 200,000 rows, and a step of the event loop sees 4,000.
What moved while others had their turn is looked at again at the end, and nothing else: a variant counts its moves.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from actors.packing import Search, are_few
from actors.turn import Turn
from actors.variant_stock import VariantStock

AGAIN_MAX = 5  # looks in steps at what moved; then one that does not stop

Read = Callable[[VariantStock], dict[str, int]]


class Look(NamedTuple):
    """What was seen.

    Args:
        free: pieces by variant and warehouse.
        moves: how often each variant had moved by then.
    """

    free: dict[str, dict[str, int]]
    moves: dict[str, int]


def has_few_rows(variants: Mapping[str, VariantStock]) -> bool:
    """Whether a look takes one step, so that nothing need be pinned for it."""
    rows = 0
    for variant in variants.values():
        rows += len(variant.rows)
    return are_few(rows)


def look(variants: Mapping[str, VariantStock], read: Read, search: Search) -> Turn[Look]:
    """See what each variant has. They must be pinned.

    Args:
        read: a method of VariantStock.
        search: counts the rows that were looked at.
    """
    if has_few_rows(variants):
        return Look(
            {key: read(variant) for key, variant in variants.items()},
            {key: variant.moves.count for key, variant in variants.items()},
        )
    free: dict[str, dict[str, int]] = {}
    moves: dict[str, int] = {}
    has_waited = False
    for variant_id, variant in variants.items():
        if search.is_due(len(variant.rows)):
            has_waited = True
            yield from search.others_first()
        free[variant_id] = read(variant)
        moves[variant_id] = variant.moves.count
    for number in range(AGAIN_MAX + 1) if has_waited else ():
        has_waited = False
        for variant_id, variant in variants.items():
            if variant.moves.count == moves[variant_id]:
                continue
            if number < AGAIN_MAX and search.is_due(len(variant.rows)):
                has_waited = True
                yield from search.others_first()
            free[variant_id] = read(variant)
            moves[variant_id] = variant.moves.count
        if not has_waited:
            break
    return Look(free, moves)
