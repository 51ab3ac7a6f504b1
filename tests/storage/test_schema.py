"""The schema: what migrations make is what the code describes, its checks hold, and no read is a scan."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from actors.queries import ListReservations, ListStock, ListTransfers
from actors.records import OrderKey, RequestKey, StockKey, VariantKey
from storage.sql import order_reads, reads, stock_reads, variant_reads
from storage.sql.archive import move_out
from storage.sql.batch_sqlite import write_batch
from storage.sql.sifted_reads import list_page
from storage.sql.sqlite_session import SqliteSession
from storage.sql.sqlite_settings import CONNECT_ARGUMENTS
from storage.sql.transfer_reads import list_transfers
from storage.store import MovedOut
from tests.storage.scribe import ORGANIZATION, START_MS, Scribe


@pytest.fixture
def raw(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path / "x.db", **CONNECT_ARGUMENTS)
    yield connection
    connection.close()


@pytest.fixture
def session(raw: sqlite3.Connection) -> Iterator[SqliteSession]:
    session = SqliteSession(raw)
    session.take_over("a test")
    yield session
    session.close()


@pytest.fixture
def history(session: SqliteSession) -> Scribe:
    scribe = Scribe()
    session.write(1, scribe.random_history(seed=7, length=400))
    return scribe


class TestChecks:
    @pytest.mark.parametrize(
        "change",
        [
            "stock SET available = available - 1000, total = total - 1000",
            "stock SET reserved = -1, total = total - reserved - 1",
            "stock SET damaged = -1, total = total - 1",
            "stock SET in_transit = -1, total = total - 1",
            "stock SET available = available - 1",
            "stock SET available = available + 2147483647, total = total + 2147483647",
            "stock SET available = 'many'",
            "stock SET version = 0",
            "stock SET min_stock = -1",
            "reservation SET state = 'lost'",
            "reservation SET state = 'confirmed', confirmed_at = NULL",
            "reservation SET state = 'active', ended_at = created_at",
            "reservation SET state = 'released', ended_at = NULL",
            "reservation SET state = 'expired', ended_at = NULL",
            "reservation SET state = 'fulfilled', ended_at = NULL",
            "reservation_item SET quantity = 0",
            "reservation_item SET fulfilled = -1",
            "reservation_item SET fulfilled = quantity + 1",
            "ownership SET singleton = 2",
            "stock_movement SET lsn = 1, position = 0",
        ],
    )
    def test_the_database_itself_refuses(self, history: Scribe, raw: sqlite3.Connection, change: str) -> None:
        with pytest.raises(sqlite3.IntegrityError):
            raw.execute(f"UPDATE {change}")

    def test_an_lsn_is_given_once_even_without_the_fence(self, history: Scribe, raw: sqlite3.Connection) -> None:
        late = history.receive()
        raw.execute("UPDATE ownership SET last_lsn = last_lsn - 1")
        again = Scribe()
        again.lsn = late.lsn - 2
        with pytest.raises(sqlite3.IntegrityError, match=r"stock_movement\.lsn"):
            write_batch(raw, 1, [again.receive("new variant")])


class TestLedger:
    def test_every_before_is_the_last_after(self, history: Scribe, raw: sqlite3.Connection) -> None:
        breaks = raw.execute(
            """
            SELECT * FROM (
                SELECT available_before, reserved_before, damaged_before, in_transit_before,
                    LAG(available_after, 1, 0) OVER row_history AS available,
                    LAG(reserved_after, 1, 0) OVER row_history AS reserved,
                    LAG(damaged_after, 1, 0) OVER row_history AS damaged,
                    LAG(in_transit_after, 1, 0) OVER row_history AS in_transit
                FROM stock_movement
                WINDOW row_history AS (
                    PARTITION BY organization_id, variant_id, warehouse_id ORDER BY lsn, position))
            WHERE (available_before, reserved_before, damaged_before, in_transit_before)
                <> (available, reserved, damaged, in_transit)"""
        ).fetchall()
        assert breaks == []
        assert raw.execute("SELECT count(*) FROM stock_movement").fetchone()[0] > 300

    def test_the_deltas_add_up_to_the_rows(self, history: Scribe, raw: sqlite3.Connection) -> None:
        keys = "organization_id, variant_id, warehouse_id"
        sums = ", ".join(f"sum({name}_delta)" for name in ("available", "reserved", "damaged", "in_transit"))
        ledger = raw.execute(f"SELECT {keys}, {sums} FROM stock_movement GROUP BY 1, 2, 3").fetchall()
        assert ledger == raw.execute(f"SELECT {keys}, available, reserved, damaged, in_transit FROM stock").fetchall()

    def test_a_line_reads_like_a_sentence(self, session: SqliteSession, raw: sqlite3.Connection) -> None:
        session.write(1, Scribe().reserve_after_receiving())
        raw.row_factory = sqlite3.Row
        line = dict(raw.execute("SELECT * FROM stock_movement WHERE lsn = 2").fetchone())
        assert line == {
            "lsn": 2,
            "position": 0,
            "at": "2026-09-21T14:13:20.000Z",
            "kind": "reserve",
            "organization_id": ORGANIZATION,
            "variant_id": "v",
            "warehouse_id": "w",
            "available_delta": -1,
            "reserved_delta": 1,
            "damaged_delta": 0,
            "in_transit_delta": 0,
            "available_before": 10,
            "reserved_before": 0,
            "damaged_before": 0,
            "in_transit_before": 0,
            "available_after": 9,
            "reserved_after": 1,
            "damaged_after": 0,
            "in_transit_after": 0,
            "reference": "",
            "reason": "",
            "reservation_id": "reservation-000002",
            "order_id": "order",
        }


STOCK: dict[str, Any] = {"limit": 5}
AFTER = StockKey(ORGANIZATION, "v", "w")
NEWEST: dict[str, Any] = {"limit": 5}
OF_RESERVATION = "USING PRIMARY KEY (organization_id=? AND reservation_id=?)"

# Each read, and the beginning of every step of its plan that touches a table. SCAN stands only where the read goes
# along an index in order and stops at its limit, or where it wants all there is.
PLANS: list[tuple[Any, set[str]]] = [
    (lambda c: reads.load_warehouses(c), {"SCAN warehouse"}),
    (lambda c: reads.load_sourcing(c), {"SCAN sourcing"}),
    (
        lambda c: variant_reads.load_variants(c, [VariantKey("a", "b")] * 3),
        {"SEARCH stock USING PRIMARY KEY (organization_id=? AND variant_id=?)"},
    ),
    (
        lambda c: variant_reads.FIRST_OF_VARIANT.execute(c, [VariantKey("a", "b")], after="w"),
        {"SEARCH stock USING PRIMARY KEY (organization_id=? AND variant_id=? AND warehouse_id>?)"},
    ),
    (
        lambda c: order_reads.load_orders(c, [OrderKey("a", "b")] * 3),
        {"SEARCH reservation USING INDEX reservation_by_order (organization_id=? AND order_id=?)", "ITEMS"},
    ),
    (
        lambda c: reads.find_reservation(c, "a", "b"),
        {"SEARCH reservation USING PRIMARY KEY (organization_id=? AND reservation_id=?)"},
    ),
    (
        lambda c: reads.load_reservation(c, "a", "b"),
        {
            *(f"SEARCH reservation{suffix} {OF_RESERVATION}" for suffix in ("", "_archive")),
            *(f"SEARCH reservation_item{suffix} {OF_RESERVATION}" for suffix in ("", "_archive")),
        },
    ),
    (
        lambda c: reads.load_request(c, RequestKey("a", "b")),
        {"SEARCH request USING PRIMARY KEY (scope=? AND request_id=?)"},
    ),
    (lambda c: reads.due(c, START_MS, 5), {"SEARCH reservation USING INDEX reservation_by_expiry (expires_at<?)"}),
    (lambda c: reads.next_expiry_ms(c), {"SCAN reservation USING INDEX reservation_by_expiry"}),
    (lambda c: reads.active_reservations(c, 5), {"SCAN reservation USING INDEX reservation_by_expiry", "ITEMS"}),
    (lambda c: reads.orders_after(c, None, 5), {"SCAN reservation USING COVERING INDEX reservation_by_order"}),
    (
        lambda c: reads.orders_after(c, OrderKey("a", "b"), 5),
        {"SEARCH reservation USING COVERING INDEX reservation_by_order ((organization_id,order_id)>(?,?))"},
    ),
    (lambda c: reads.requests_after(c, None, 5), {"SCAN request"}),
    (
        lambda c: reads.requests_after(c, RequestKey("a", "b"), 5),
        {"SEARCH request USING PRIMARY KEY ((scope,request_id)>(?,?))"},
    ),
    (
        lambda c: stock_reads.list_stock(c, ListStock(ORGANIZATION, **STOCK)),
        {"SEARCH stock USING PRIMARY KEY (organization_id=?)"},
    ),
    (
        lambda c: stock_reads.list_stock(c, ListStock(ORGANIZATION, **STOCK | {"after": AFTER})),
        {"SEARCH stock USING PRIMARY KEY (organization_id=? AND (variant_id,warehouse_id)>(?,?))"},
    ),
    (
        lambda c: stock_reads.list_stock(c, ListStock(ORGANIZATION, **STOCK | {"variant_id": "v"})),
        {"SEARCH stock USING PRIMARY KEY (organization_id=? AND variant_id=?)"},
    ),
    (
        lambda c: stock_reads.list_stock(c, ListStock(ORGANIZATION, **STOCK | {"variant_id": "v", "after": AFTER})),
        {"SEARCH stock USING PRIMARY KEY (organization_id=? AND variant_id=?)"},
    ),
    (
        lambda c: stock_reads.list_stock(c, ListStock(ORGANIZATION, **STOCK | {"warehouse_id": "w"})),
        {"SEARCH stock USING INDEX stock_by_warehouse (organization_id=? AND warehouse_id=?)"},
    ),
    (
        lambda c: stock_reads.list_stock(c, ListStock(ORGANIZATION, **STOCK | {"warehouse_id": "w", "after": AFTER})),
        {"SEARCH stock USING INDEX stock_by_warehouse (organization_id=? AND warehouse_id=? AND variant_id>?)"},
    ),
    (
        lambda c: stock_reads.list_stock(c, ListStock(ORGANIZATION, **STOCK | {"variant_prefix": "v"})),
        {"SEARCH stock USING PRIMARY KEY (organization_id=? AND variant_id>? AND variant_id<?)"},
    ),
    (
        lambda c: reads.list_reservations(c, ListReservations("a", **NEWEST)),
        {"SEARCH reservation USING PRIMARY KEY (organization_id=?)", "LINES", "ITEMS"},
    ),
    (
        lambda c: reads.list_reservations(c, ListReservations("a", **NEWEST | {"before": "r"})),
        {"SEARCH reservation USING PRIMARY KEY (organization_id=? AND reservation_id<?)", "LINES", "ITEMS"},
    ),
    (
        lambda c: reads.list_reservations(c, ListReservations("a", **NEWEST | {"state": "active"})),
        {"SEARCH reservation USING INDEX reservation_by_state (organization_id=? AND state=?)", "LINES", "ITEMS"},
    ),
    (
        lambda c: reads.list_reservations(c, ListReservations("a", **NEWEST | {"state": "active", "before": "r"})),
        {
            "SEARCH reservation USING INDEX reservation_by_state (organization_id=? AND state=? AND reservation_id<?)",
            "LINES",
            "ITEMS",
        },
    ),
    (
        lambda c: reads.list_reservations(c, ListReservations("a", **NEWEST | {"order_id": "o"})),
        {"SEARCH reservation USING INDEX reservation_by_order (organization_id=? AND order_id=?)", "LINES", "ITEMS"},
    ),
    (
        lambda c: reads.list_reservations(c, ListReservations("a", **NEWEST | {"order_id": "o", "state": "active"})),
        {"SEARCH reservation USING INDEX reservation_by_order (organization_id=? AND order_id=?)", "LINES", "ITEMS"},
    ),
]
OF_TRANSFER = "SEARCH transfer USING INDEX transfer_by_{0} (organization_id=? AND {0}_warehouse_id=? AND state=?)"
AFTER_IT = " AND (shipped_at,transfer_id)<(?,?))"
PLANS += [
    (
        lambda c: list_transfers(c, ListTransfers("a", warehouse_id="w", limit=5)),
        {OF_TRANSFER.format("from"), OF_TRANSFER.format("to")},
    ),
    (
        lambda c: list_transfers(c, ListTransfers("a", state="in_transit", warehouse_id="w", before=(7, "t"))),
        {OF_TRANSFER.format(end).removesuffix(")") + AFTER_IT for end in ("from", "to")},
    ),
]
ITEMS = f"SEARCH reservation_item {OF_RESERVATION} LEFT-JOIN"
LINES = f"SEARCH reservation_item {OF_RESERVATION}"
TABLES = (
    *("stock", "reservation", "reservation_item", "request", "warehouse", "stock_movement", "journal_entry"),
    "sourcing",
    *("reservation_archive", "reservation_item_archive", "transfer"),
)


SIFTED: list[tuple[dict[str, str], set[str]]] = [
    (
        {"warehouse_id": "w1"},
        {
            "SEARCH reservation USING PRIMARY KEY (organization_id=?)",
            "SEARCH reservation USING PRIMARY KEY (organization_id=? AND reservation_id>?)",
            "LINES",
            "ITEMS",
        },
    ),
    (
        {"variant_id": "v1", "state": "active"},
        {
            "SEARCH reservation USING COVERING INDEX reservation_by_state (organization_id=? AND state=?)",
            "SEARCH reservation USING INDEX reservation_by_state (organization_id=? AND state=? AND reservation_id>?)",
            "LINES",
            "ITEMS",
        },
    ),
]


@pytest.mark.parametrize(("wanted", "expected"), SIFTED)
def test_a_sifted_list_follows_an_index(
    session: SqliteSession, history: Scribe, wanted: dict[str, Any], expected: set[str]
) -> None:
    query = ListReservations(ORGANIZATION, limit=5, looked_max=7, **wanted)
    test_every_read_follows_an_index(session, lambda c: list_page(c, query), expected)


@pytest.mark.parametrize(("read", "expected"), PLANS, ids=range(len(PLANS)))
def test_every_read_follows_an_index(session: SqliteSession, read: Any, expected: set[str]) -> None:
    plans: list[str] = []

    def explain(_conn: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        rows = cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
        plans.extend(row[3] for row in rows if set(row[3].split()[1:2]) & set(TABLES))

    def run(connection: Connection) -> None:
        event.listen(connection, "before_cursor_execute", explain)
        read(connection)
        event.remove(connection, "before_cursor_execute", explain)

    session.read(run)
    assert set(plans) == {{"ITEMS": ITEMS, "LINES": LINES}.get(step, step) for step in expected}


def test_no_step_of_housekeeping_is_a_scan(session: SqliteSession) -> None:
    scribe = Scribe()
    session.write(1, history := scribe.reserve_after_receiving())
    session.write(1, [scribe.release(history[1].reservation)])
    plans: list[str] = []

    def explain(_conn: Any, cursor: Any, statement: str, parameters: Any, _context: Any, executemany: bool) -> None:
        of_one = parameters[0] if executemany else parameters
        rows = cursor.execute(f"EXPLAIN QUERY PLAN {statement}", of_one).fetchall()
        plans.extend(row[3] for row in rows if row[3].split()[1] in (*TABLES, "r", "i"))

    def run(connection: Connection) -> MovedOut:
        event.listen(connection, "before_cursor_execute", explain)
        moved = move_out(connection, START_MS + 10**9, 500)
        event.remove(connection, "before_cursor_execute", explain)
        return moved

    assert session.read(run) == MovedOut(requests=1, reservations=1, items=1, movements=3, entries=3)
    assert set(plans) == {
        "SEARCH request USING COVERING INDEX request_by_age (at<?)",
        "SEARCH request USING PRIMARY KEY (scope=? AND request_id=?)",
        "SEARCH r USING COVERING INDEX reservation_by_end (ended_at<?)",
        f"SEARCH i {OF_RESERVATION}",
        f"SEARCH reservation {OF_RESERVATION}",
        f"SEARCH reservation_item {OF_RESERVATION}",
        "SCAN stock_movement",  # from its beginning to the limit
        "SEARCH stock_movement USING PRIMARY KEY ((lsn,position)<(?,?))",
        "SCAN journal_entry",  # likewise
        "SEARCH journal_entry USING PRIMARY KEY ((lsn,organization_id)<(?,?))",
        "SEARCH stock_movement USING PRIMARY KEY",  # its first row
    }
