"""What an entry of the journal may do to rows if it belongs to no order, whatever was asked."""

from collections.abc import Sequence

from actors.records import Delta


def is_legal(kind: str, deltas: Sequence[Delta]) -> bool:
    """Whether an entry of this kind may change rows so, whatever was asked."""
    return bool(deltas) and all(_is_legal(kind, delta) for delta in deltas)


def _is_legal(kind: str, delta: Delta) -> bool:
    available, damaged, in_transit = delta.available, delta.damaged, delta.in_transit
    if delta.reserved:
        return False
    match kind:
        case "receive":
            return available >= 0 <= damaged and available + damaged > 0 and -available - damaged <= in_transit <= 0
        case "announce":
            return (available, damaged) == (0, 0) < (in_transit,)
        case _:
            return (damaged, in_transit) == (0, 0) and available < 0
