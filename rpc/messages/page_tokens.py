"""Page tokens: where the next page begins, in a form that callers pass back and do not read.

A token names the organization it was given to, and is refused for any other.
"""

import base64
import binascii
from typing import Any, Literal, NamedTuple

import msgspec

from actors.records import StockKey
from rpc.messages.rules import is_id

TOKEN_RULE = "must be a next_page_token of this list, or empty"
_TOKEN_CHARACTERS_MAX = 8_192  # three ids of 128 characters, each escaped at worst, in base64


class ReservationMark(NamedTuple):
    """The next page of reservations begins before this id."""

    organization_id: str
    before: str


class WarehouseMark(NamedTuple):
    """The next page of warehouses begins after this id."""

    organization_id: str
    warehouse_id: str
    list: Literal["warehouses"] = "warehouses"  # so that no other list's token is taken for one


class TransferMark(NamedTuple):
    """The next page of transfers begins before this id of that time."""

    organization_id: str
    transfer_id: str
    shipped_at_ms: int


Mark = StockKey | ReservationMark | WarehouseMark | TransferMark

_stock_keys = msgspec.json.Decoder(StockKey)
_reservation_marks = msgspec.json.Decoder(ReservationMark)
_warehouse_marks = msgspec.json.Decoder(WarehouseMark)
_transfer_marks = msgspec.json.Decoder(TransferMark)


def stock_token(after: StockKey | None) -> str:
    """The token of the page that begins after this row; empty for None, as the last page has it."""
    return "" if after is None else encode_token(after)


def reservation_token(organization_id: str, before: str) -> str:
    """The token of the page that begins before this reservation; empty for none, as the last page has it."""
    return encode_token(ReservationMark(organization_id, before)) if before else ""


def warehouse_token(organization_id: str, after: str) -> str:
    """The token of the page that begins after this warehouse; empty for none, as the last page has it."""
    return encode_token(WarehouseMark(organization_id, after)) if after else ""


def read_warehouse_token(token: str, organization_id: str) -> str:
    """The warehouse id that the page begins after.

    Raises:
        ValueError: it is no token of this organization's warehouses.
    """
    mark = _warehouse_marks.decode(decode_token(token))
    _check(mark, organization_id)
    return mark.warehouse_id


def transfer_token(organization_id: str, before: tuple[int, str] | None) -> str:
    """The token of the page that begins before this time and id; empty for None, as the last page has it."""
    return "" if before is None else encode_token(TransferMark(organization_id, before[1], before[0]))


def read_transfer_token(token: str, organization_id: str) -> tuple[int, str]:
    """The time and the id that the page begins before.

    Raises:
        ValueError: it is no token of this organization's transfers.
    """
    mark = _transfer_marks.decode(decode_token(token))
    _check(mark, organization_id)
    return mark.shipped_at_ms, mark.transfer_id


def read_stock_token(token: str, organization_id: str) -> StockKey | None:
    """Where the page begins.

    Raises:
        ValueError: it is no token of this organization's stock.
    """
    key = _stock_keys.decode(decode_token(token))
    _check(key, organization_id)
    return key


def read_reservation_token(token: str, organization_id: str) -> str:
    """The reservation id that the page begins before.

    Raises:
        ValueError: it is no token of this organization's reservations.
    """
    mark = _reservation_marks.decode(decode_token(token))
    _check(mark, organization_id)
    return mark.before


def encode_token(mark: Any) -> str:
    """A token with this in it."""
    return base64.urlsafe_b64encode(msgspec.json.encode(mark)).decode("ascii").rstrip("=")


def decode_token(token: str) -> bytes:
    """What is in a token, as JSON. Raises ValueError."""
    if len(token) > _TOKEN_CHARACTERS_MAX:
        raise ValueError("too long")
    padding = "=" * (-len(token) % 4)
    try:
        return base64.b64decode(token + padding, altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("not base64url") from error


def _check(mark: Mark, organization_id: str) -> None:
    if mark[0] != organization_id or not all(is_id(part) for part in mark if isinstance(part, str)):
        raise ValueError("of another list")
