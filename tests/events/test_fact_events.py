"""Each event stands as its golden file says, keeps its schema, and is told of whatever happens in a simulated world."""

import json
from functools import cache
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from msgspec.structs import replace

from actors.changes import Point
from actors.records import Delta, StockKey, Transaction
from events.cloud_format import cloudevent
from events.envelope import OutEvent, erp
from events.event_schemas import DATA, schema_of, write
from events.fact_events import CHANGE_TYPES, events_of
from simulation.runner import run_seed
from storage.feed_told import behind, entries_of, read_feed
from tests.events.told_history import DATABASE, GOLDEN, all_events, golden_texts, history, latest
from tests.storage.scribe import ORGANIZATION as SHOP
from tests.storage.scribe import Scribe
from tests.system.servers import ROOT

ANSWERS = {"inventory.reservation.failed", "inventory.stock.initialized", "inventory.stock.archived"}
ANSWERS |= {"inventory.stock.validation_failed"}
UPDATED = "inventory.stock.updated"
FACTS = sorted(set(DATA) - ANSWERS)


@cache
def validator(name: str) -> Any:
    schema = json.loads((ROOT / "docs" / "events" / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def check(event: OutEvent) -> None:
    for form in (erp, cloudevent):
        validator(event.name).validate(json.loads(msgspec.json.encode(form(event))))


@pytest.mark.parametrize("name", sorted(DATA))
def test_an_event_is_what_its_golden_file_says(name: str) -> None:
    golden = (GOLDEN / f"{name}.json").read_text()
    assert golden_texts()[name] == golden
    for message in json.loads(golden):
        validator(name).validate(message)


def test_the_published_schemas_are_those_of_the_program(tmp_path: Any) -> None:
    write(tmp_path)
    published = {path.name: path.read_text() for path in (ROOT / "docs" / "events").glob("*.schema.json")}
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == published
    assert len(published) == len(DATA)


def test_a_schema_refuses_what_no_one_agreed_to() -> None:
    [event] = [event for event in all_events() if event.name == "inventory.reservation.confirmed"]
    for wrong in ({**event.data, "more": 1}, {"order_id": "order-1"}, {**event.data, "confirmed_at": "yesterday"}):
        assert not validator(event.name).is_valid(erp(replace(event, data=wrong)))
    assert schema_of(event.name)["title"] == event.name


def test_every_event_of_the_simulations_workload_keeps_its_schema() -> None:
    seen: set[str] = set()
    ids: set[str] = set()
    for seed in range(12):
        ids.clear()
        for transaction in run_seed(seed).journal:
            for entry in entries_of(transaction):
                for event in events_of(entry, "d"):
                    assert event.event_id not in ids, event
                    ids.add(event.event_id)
                    seen.add(event.name)
                    check(event)
    assert seen == set(FACTS)


def test_what_runs_out_is_released_with_the_one_word_that_cancels_an_order() -> None:
    reasons = {event.data["reason"] for event in all_events() if event.name == "inventory.stock.released"}
    assert reasons == {"payment failed", "timeout", "closed"}


def test_a_callers_reason_is_none_of_the_words_that_mean_more() -> None:
    scribe = Scribe()
    scribe.receive()
    told = []
    for given in ("timeout", "closed", "Timeout", "not paid"):
        scribe.reserve(given)
        release = scribe.release(latest(scribe, given), given)
        told += [event for entry in entries_of(release) for event in events_of(entry, DATABASE)]
    reasons = [event.data["reason"] for event in told if event.name == "inventory.stock.released"]
    assert reasons == ["released: timeout", "released: closed", "Timeout", "not paid"]
    for event in told:
        check(event)


def test_each_change_of_a_row_has_its_word() -> None:
    words: dict[str, set[str]] = {}
    transactions = [*history(), *others()]
    for one in transactions:
        for entry in entries_of(one):
            told = {event.data["change_type"] for event in events_of(entry, DATABASE) if event.name == UPDATED}
            words.setdefault(one.kind, set()).update(told)
    assert words == {
        "receive": {"in"},
        "announce": {"in"},
        "import": {"count"},
        "reserve": {"reserve"},
        "reacquire": {"reserve"},
        "amend": {"reserve", "release"},
        "release": {"release"},
        "expire": {"release"},
        "fulfill": {"out"},
        "deduct": {"out"},
        "adjust": {"adjustment"},
        "levels": {"adjustment"},
        "delete": {"adjustment"},
        "ship_transfer": {"transfer"},
        "receive_transfer": {"transfer"},
        "cancel_transfer": {"transfer"},
        "confirm": set(),  # it changes no row
        "extend": set(),
        "warehouse": set(),
    }
    assert set(CHANGE_TYPES) == {kind for kind, told in words.items() if told}


def others() -> list[Transaction]:
    """What the history has not, each with a row of its own."""
    scribe = Scribe()
    announced = scribe.receive("v", "w", 1)
    told = [replace(announced, kind="announce"), replace(scribe.receive("v", "w", 1), kind="levels")]
    smaller = scribe._change(StockKey(SHOP, "v", "w"), Delta(1, -1))
    scribe.reserve()
    amended = scribe._transaction("amend", changes=(smaller,), reservation=scribe.only_reservation())
    scribe.counted([("empty", "w", 0)])
    return [*told, amended, scribe.delete("empty", "w")]


def test_the_level_is_a_warning_down_to_the_minimum_and_critical_from_there_on() -> None:
    scribe, key = Scribe(), StockKey(SHOP, "v", "w")
    scribe.receive("v", "w", 12)
    sold = [
        scribe._transaction("deduct", changes=(scribe._change(key, Delta(-1), min_stock=5, reorder_point=10),))
        for _ in range(8)
    ]
    told = [event for one in sold for entry in entries_of(one) for event in events_of(entry, DATABASE)]
    levels = [
        (event.data["available_quantity"], event.data["alert_level"], event.data["shortage"])
        for event in told
        if event.name == "inventory.stock.low_level"
    ]
    assert levels == [(10, "warning", 0), (5, "critical", 5)]


def test_the_same_change_told_in_parts_has_the_same_events() -> None:
    scribe = Scribe()
    journal = [scribe.counted([(f"v{n}", "w", n + 1) for n in range(10)]), scribe.receive("v1", "w", 1)]
    whole = [event for one in journal for entry in entries_of(one) for event in events_of(entry, DATABASE)]
    for rows_max in (1, 3, 9, 10, 11, 100):
        told, point = list[OutEvent](), Point(0)
        while True:
            feed = read_feed(journal, point, rows_max)
            told += [event for entry in feed.entries() for event in events_of(entry, DATABASE)]
            if feed.upto is None:
                break
            assert feed.upto > point
            point = feed.upto
        assert told == whole


def test_what_belongs_to_no_row_is_told_once() -> None:
    [entry] = [entry for one in history() if one.lsn == 4 for entry in entries_of(one)]
    first = {event.name for event in events_of(entry, DATABASE)}
    rest = {event.name for event in events_of(behind(entry, Point(4, 0)), DATABASE)}
    assert first - rest == {"inventory.stock.reserved"}
