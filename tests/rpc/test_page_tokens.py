"""A token brings back its page, for its organization, and nothing else does."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.records import StockKey
from rpc.messages.page_tokens import read_reservation_token, read_stock_token, reservation_token, stock_token

ids = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=128)


@settings(deadline=None)  # a busy machine is no failure
@given(ids, ids, ids)
def test_a_stock_token_brings_back_its_row(organization_id: str, variant_id: str, warehouse_id: str) -> None:
    key = StockKey(organization_id, variant_id, warehouse_id)
    assert read_stock_token(stock_token(key), organization_id) == key


@settings(deadline=None)  # a busy machine is no failure
@given(ids, ids)
def test_a_reservation_token_brings_back_its_reservation(organization_id: str, before: str) -> None:
    assert read_reservation_token(reservation_token(organization_id, before), organization_id) == before


def test_the_longest_ids_fit() -> None:
    for character in ("😀", '"', "\\"):
        key = StockKey(character * 128, character * 128, character * 128)
        assert read_stock_token(stock_token(key), key.organization_id) == key


def test_the_last_page_has_no_token() -> None:
    assert stock_token(None) == ""
    assert reservation_token("org", "") == ""


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "token",
    [
        "?",
        "ñ",
        "a",
        encoded("not json"),
        encoded("[]"),
        encoded('["org"]'),
        encoded('["org", "v", 1]'),
        encoded('["org", "v", ""]'),
        encoded('["org", "v", "\\u0000"]'),
        encoded('["org", "v", "\\ud800"]'),
        encoded('["other", "v", "w"]'),
        encoded("[" * 5_000),
        "A" * 10_000,
    ],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any
        read_stock_token(token, "org")
    with pytest.raises(ValueError):  # noqa: PT011
        read_reservation_token(token, "org")


@settings(deadline=None)  # a busy machine is no failure
@given(st.text(max_size=200))
def test_no_text_does_worse_than_a_value_error(text: str) -> None:
    for read in (read_stock_token, read_reservation_token):
        with pytest.raises(ValueError):  # noqa: PT011
            read(text, "org")
