"""What a loss leaves without its goods."""

from actors.plain_value import PlainValue


class Uncovered(PlainValue, frozen=True):
    """`pieces` of a row that a reservation holds and that are not there."""

    reservation_id: str
    order_id: str
    variant_id: str
    warehouse_id: str
    pieces: int
    is_confirmed: bool = False
