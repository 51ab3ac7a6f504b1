"""The lines that a caller gives: typed, and refused here where the mistake is in how they are written.

A misspelt key that was ignored would choose another warehouse, or count something else. What the service alone can
judge, such as a quantity that is too large, is left to the service, which names everything that is wrong at once.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NotRequired, TypedDict, TypeVar, cast

from stockkeeper_client.v1.protobuf import Message

_M = TypeVar("_M", bound=Message)

REQUIRED_OF_ITEM = ("variant_id", "quantity")
REQUIRED_OF_ROW = ("variant_id", "warehouse_id")


class Item(TypedDict):
    """A line to check or to reserve. Without `warehouse_id`, or with an empty one, the service chooses.

    >>> item: Item = {"variant_id": "mug", "quantity": 2}
    """

    variant_id: str
    quantity: int
    warehouse_id: NotRequired[str | None]


class BasketItem(TypedDict):
    """A line to reserve from `warehouse_ids` alone, the first of them rather than the next; without them from any.

    >>> item: BasketItem = {"variant_id": "mug", "quantity": 2, "warehouse_ids": ["lisbon", "madrid"]}
    """

    variant_id: str
    quantity: int
    warehouse_ids: NotRequired[Iterable[str]]


class ReceivedLine(TypedDict):
    """Goods that came in: `quantity` pieces that can be sold, and `damaged_quantity` more that cannot.

    With `from_in_transit` they had been announced.

    >>> line: ReceivedLine = {"variant_id": "mug", "warehouse_id": "madrid", "quantity": 12, "damaged_quantity": 1}
    """

    variant_id: str
    warehouse_id: str
    quantity: NotRequired[int]
    damaged_quantity: NotRequired[int]
    from_in_transit: NotRequired[bool]


class CountedTotal(TypedDict):
    """The total of a row as it was counted; if `expected_total` is given, the row must have that one now."""

    counted_total: int
    expected_total: NotRequired[int]


class AdjustedRow(TypedDict):
    """A row and one thing that was found about it: pieces to add or, below 0, to take away; pieces that are damaged
    now, were repaired or are thrown away; or a count.

    >>> found: AdjustedRow = {"variant_id": "mug", "warehouse_id": "madrid", "mark_damaged": 3}
    """

    variant_id: str
    warehouse_id: str
    delta: NotRequired[int]
    mark_damaged: NotRequired[int]
    repair: NotRequired[int]
    write_off_damaged: NotRequired[int]
    count: NotRequired[CountedTotal]


class RowLevels(TypedDict):
    """The levels of a row. One that is absent stays as it is; a `max_stock` of 0 is none.

    >>> levels: RowLevels = {"variant_id": "mug", "warehouse_id": "madrid", "min_stock": 3, "reorder_point": 10}
    """

    variant_id: str
    warehouse_id: str
    min_stock: NotRequired[int]
    max_stock: NotRequired[int]
    reorder_point: NotRequired[int]


class ShippedPieces(TypedDict):
    """Pieces that leave for another warehouse.

    >>> pieces: ShippedPieces = {"variant_id": "mug", "quantity": 3}
    """

    variant_id: str
    quantity: int


class ArrivedPieces(TypedDict):
    """What has come of a transfer: pieces that can be sold, that came damaged, and that are known not to come.

    >>> came: ArrivedPieces = {"variant_id": "mug", "quantity": 2, "missing_quantity": 1}
    """

    variant_id: str
    quantity: NotRequired[int]
    damaged_quantity: NotRequired[int]
    missing_quantity: NotRequired[int]


class StockLine(TypedDict):
    """A line of an import. A figure that is absent, or None, stays as it is.

    >>> line: StockLine = {
    ...     "organization_id": "shop", "variant_id": "mug", "warehouse_id": "madrid", "total_quantity": 120
    ... }
    """

    organization_id: str
    variant_id: str
    warehouse_id: str
    total_quantity: int
    warehouse_name: NotRequired[str | None]
    damaged_quantity: NotRequired[int | None]
    in_transit_quantity: NotRequired[int | None]
    min_stock: NotRequired[int | None]
    max_stock: NotRequired[int | None]
    reorder_point: NotRequired[int | None]
    line_number: NotRequired[int | None]
    """What a refusal calls the line; by default its place in the stream."""


def to_messages(
    kind: type[_M], items: Iterable[object], name: str = "items", required: Collection[str] = REQUIRED_OF_ITEM
) -> Iterator[_M]:
    """Each of `items`, which the caller knows by `name`, as a message.

    Raises TypeError for an item that is neither a message nor a mapping, that has an unknown key, lacks one or has a
    value of another type; ValueError for a number that the message cannot hold. The text names the item: `items[2]`.
    """
    for place, item in enumerate(items):
        yield to_message(kind, item, f"{name}[{place}]", required)


def to_message(kind: type[_M], given: object, place: str, required: Collection[str] = ()) -> _M:
    """`given` as a message. It is called `place`, and is refused as in `to_messages`."""
    if isinstance(given, kind):
        return given
    if not isinstance(given, Mapping):
        raise TypeError(f"{place} has to be a mapping or a {kind.__name__}, not {given!r}")
    if isinstance(given.get("warehouse_ids"), str):  # whose letters would be taken for warehouses
        raise TypeError(
            f"{place}.warehouse_ids cannot be {given['warehouse_ids']!r}, which is a str and no list of them"
        )
    if all(given.get(key) is not None for key in required):
        try:
            return cast(_M, cast(Any, kind)(**given))
        except (TypeError, ValueError):
            pass  # said better below
    raise _mistake(kind, given, place, required)


def _mistake(kind: type[Message], given: Mapping[object, object], place: str, required: Collection[str]) -> Exception:
    known = kind.DESCRIPTOR.fields_by_name
    for key in given:
        if key not in known:
            return TypeError(f"{place} has an unknown key {key!r}; there are {', '.join(known)}")
    for key in required:
        if given.get(key) is None:
            return TypeError(f"{place} has no {key}")
    for name, value in given.items():
        try:
            cast(Any, kind)(**{str(name): value})
        except TypeError:
            return TypeError(f"{place}.{name} cannot be {value!r}, which is a {type(value).__name__}")
        except ValueError as error:
            return ValueError(f"{place}.{name} cannot be {value!r}: {error}")
    raise AssertionError(f"{place} makes no {kind.__name__}, and each of its values does")
