"""What others say is understood as it is written down, or rejected with a reason, and never half."""

import json
from typing import Any

import pytest

from events.envelope import moment
from events.incoming import BODY_BYTES_MAX, Heard, OrderPlaced, Rejected, TillSale, key_of, read_event

CAME_MS = 1_790_000_000_123


def message(event: str, data: object, **others: object) -> bytes:
    envelope = {"event_id": "e-1", "organization_id": "shop", "event": event, "data": data, **others}
    return json.dumps(envelope).encode()


def heard(event: str, data: object, **others: object) -> Heard:
    found = read_event(message(event, data, **others), event, CAME_MS)
    assert found is not None
    return found


def test_an_order_is_read_with_what_it_says_and_the_rest_is_left() -> None:
    data = {"order_id": "o", "items": [{"variant_id": "mug", "quantity": 2, "color": "red"}], "total": 12.5}
    found = heard("order.placed", data, timestamp="2026-01-31T12:00:00Z", correlation_id="c", version="1.0")
    assert isinstance(found.said, OrderPlaced)
    assert (found.key, found.subject, found.correlation_id, found.at_ms) == ("e-1", "o", "c", 1_769_860_800_000)
    assert [(one.variant_id, one.quantity, one.preferred_warehouse_id) for one in found.said.items] == [
        ("mug", 2, None)
    ]


@pytest.mark.parametrize(
    ("said", "at_ms"),
    [
        ("2026-01-31T12:00:00.5+01:00", 1_769_857_200_500),
        ("2026-01-31T12:00:00", 1_769_860_800_000),  # without a zone it is UTC
        ("2026-01-31T12:00:00Zulu", CAME_MS),
        ("", CAME_MS),
        ("yesterday", CAME_MS),
        ("1969-12-31T23:59:59Z", CAME_MS),
        ("1970-01-01T00:00:00Z", CAME_MS),
        ("9999-12-31T23:59:59-23:00", CAME_MS),  # no answer could be written with it
    ],
)
def test_an_event_without_a_time_that_can_be_has_that_at_which_it_came(said: str, at_ms: int) -> None:
    data = {"order_id": "o", "items": [{"variant_id": "mug", "quantity": 2}]}
    found = heard("order.placed", data, timestamp=said)
    assert found.at_ms == at_ms
    assert moment(found.at_ms)[:4] == "2026"


def test_the_routing_key_says_what_it_is_where_the_message_does_not() -> None:
    body = json.dumps({"event_id": "e", "organization_id": "shop", "data": {"variant_id": "mug"}}).encode()
    found = read_event(body, "catalog.variant.deleted", CAME_MS)
    assert found is not None
    assert found.name == "catalog.variant.deleted"


def test_what_is_not_listened_to_is_left_to_others() -> None:
    assert read_event(message("order.invoiced", {}), "order.invoiced", CAME_MS) is None
    assert read_event(message("", {}), "catalog.price.changed", CAME_MS) is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "it is no event"),
        (b"\xff\xfe", "it is no event"),
        (b"[1, 2]", "it is no event"),
        (b"[" * 100_000, "it is no event"),
        (b" " * (BODY_BYTES_MAX + 1), "bytes"),
        (message("order.placed", {}, event_id=""), "event_id"),
        (message("order.placed", {}, organization_id=7), "organization_id"),
        (message("order.placed", None), "data"),
        (message("order.placed", {"order_id": "o", "items": []}), "items"),
        (message("order.placed", {"order_id": "o", "items": [{"variant_id": "m", "quantity": 0}]}), "quantity"),
        (message("order.placed", {"order_id": "o", "items": [{"variant_id": "m", "quantity": 1.5}]}), "quantity"),
        (message("order.placed", {"order_id": "o", "items": [{"variant_id": "m", "quantity": "2"}]}), "quantity"),
        (message("order.confirmed", {"order_id": "x" * 129}), "order_id"),
        (message("catalog.variant.created", {"variant_id": "m", "track_inventory": "yes"}), "track_inventory"),
        (message("catalog.variant.created", {"variant_id": "m", "default_min_stock": -1}), "default_min_stock"),
        (message("return.received", {"returned_items": [{"variant_id": "m", "quantity": 1}]}), "warehouse_id"),
    ],
)
def test_what_is_not_as_it_must_be_is_rejected_with_a_reason(body: bytes, reason: str) -> None:
    with pytest.raises(Rejected, match=reason):
        read_event(body, "order.placed", CAME_MS)


def test_a_tills_shop_has_one_of_two_names() -> None:
    items: list[Any] = [{"variant_id": "mug", "quantity": 1}]
    for place in ("warehouse_id", "local_id"):
        found = heard("pos.transaction.completed", {"items": items, place: "shop-1"}).said
        assert isinstance(found, TillSale)
        assert found.where == "shop-1"
    nowhere = heard("pos.transaction.completed", {"items": items}).said
    assert isinstance(nowhere, TillSale)
    with pytest.raises(Rejected, match="local_id"):
        _ = nowhere.where


def test_any_event_id_makes_a_key_that_the_service_takes() -> None:
    assert key_of("e-1") == "e-1"
    for odd in ("x" * 1_000, "ü", "a\nb"):
        assert key_of(odd) == key_of(odd)
        assert len(key_of(odd)) == 36
