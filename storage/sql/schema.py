"""The tables, made to be read by a person with `sqlite3` or `psql`.

Every index is paid for on the write path, so each one here has a read that would be a scan without it. The
tables that are only ever looked up by their key have no other order (WITHOUT ROWID): one tree to write instead
of two. CHECK constraints repeat the invariants of `actors.records`, so that even a bug cannot oversell. The
deltas of the ledger are generated from its `before` and `after` columns: they cannot disagree. There are no
foreign keys, since each costs a look-up a line and there is only one writer, which writes a reservation and its
items in one transaction.

A change here needs a migration in `migrations/versions`; a test compares the two.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.types import TypeEngine

from storage.sql.instants import Instant

# Keys compare by code point in both databases, as they do in Python; a locale's order would be slower and another one.
KEY: TypeEngine[str] = Text().with_variant(Text(collation="C"), "postgresql")
# A STRICT table of SQLite knows INTEGER only, which has 64 bits there.
LONG: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")
SHORT: TypeEngine[int] = SmallInteger().with_variant(Integer(), "sqlite")

# STRICT: without it SQLite would store the text 'many' in a quantity, and find it larger than zero.
OPTIONS: dict[str, Any] = {"sqlite_strict": True, "sqlite_with_rowid": False}

metadata = MetaData()


def _quantities(suffix: str = "") -> list[Column[int]]:
    names = ("available", "reserved", "damaged", "in_transit")
    return [Column(f"{name}{suffix}", Integer, nullable=False) for name in names]


def _deltas() -> list[Column[int]]:
    names = ("available", "reserved", "damaged", "in_transit")
    return [
        Column(f"{name}_delta", Integer, Computed(f"{name}_after - {name}_before", persisted=True)) for name in names
    ]


warehouse = Table(
    "warehouse",
    metadata,
    Column("organization_id", KEY, nullable=False),
    Column("warehouse_id", KEY, nullable=False),
    Column("name", Text, nullable=False),
    Column("code", Text, nullable=False, server_default=""),
    Column("priority", Integer, nullable=False, server_default=text("0")),
    Column("active", SHORT, nullable=False, server_default=text("1")),  # 0: no new reservation takes from it
    PrimaryKeyConstraint("organization_id", "warehouse_id", name="warehouse_key"),
    **OPTIONS,
)

sourcing = Table(
    "sourcing",
    metadata,
    Column("organization_id", KEY, nullable=False),
    Column("policy", Text, nullable=False),
    PrimaryKeyConstraint("organization_id", name="sourcing_key"),
    **OPTIONS,
)

stock = Table(
    "stock",
    metadata,
    Column("organization_id", KEY, nullable=False),
    Column("variant_id", KEY, nullable=False),
    Column("warehouse_id", KEY, nullable=False),
    Column("stock_id", KEY, nullable=False),
    Column("total", Integer, nullable=False),
    *_quantities(),
    Column("min_stock", Integer, nullable=False),
    Column("max_stock", Integer, nullable=False),
    Column("version", LONG, nullable=False),
    Column("reorder_point", Integer, nullable=False, server_default=text("0")),
    PrimaryKeyConstraint("organization_id", "variant_id", "warehouse_id", name="stock_key"),
    CheckConstraint(
        "available >= 0 AND reserved >= 0 AND damaged >= 0 AND in_transit >= 0", name="stock_is_never_negative"
    ),
    CheckConstraint("total = available + reserved + damaged + in_transit", name="stock_total_is_the_sum"),
    CheckConstraint("total <= 2147483647", name="stock_total_fits"),
    CheckConstraint("min_stock >= 0 AND max_stock >= 0", name="stock_bounds_are_never_negative"),
    CheckConstraint("version >= 1", name="stock_version_counts_from_one"),
    Index("stock_by_warehouse", "organization_id", "warehouse_id", "variant_id"),  # list_stock of one warehouse
    **OPTIONS,
    postgresql_with={"fillfactor": 70},  # room for a row's next version on its own page
)


def _reservation_columns() -> list[Column[Any]]:
    return [
        Column("organization_id", KEY, nullable=False),
        Column("reservation_id", KEY, nullable=False),
        Column("order_id", KEY, nullable=False),
        Column("state", Text, nullable=False),
        Column("created_at", Instant, nullable=False),
        Column("expires_at", Instant, nullable=False),
        Column("confirmed_at", Instant),
        Column("ended_at", Instant),
        Column("reason", Text, nullable=False),
        Column("lsn", LONG, nullable=False, comment="of the transaction that made it"),
        Column("asked", Text, nullable=False, server_default=""),  # empty: its items say what it was asked for
    ]


def _item_columns(table: str) -> list[Column[Any]]:
    return [
        Column("organization_id", KEY, nullable=False),
        Column("reservation_id", KEY, nullable=False),
        Column("line", SHORT, nullable=False),
        Column("variant_id", KEY, nullable=False),
        Column("warehouse_id", KEY, nullable=False),
        Column("requested_warehouse_id", KEY, nullable=False),
        Column("stock_id", KEY, nullable=False),
        Column("quantity", Integer, nullable=False),
        Column("stock_before", Integer, nullable=False),
        Column("stock_after", Integer, nullable=False),
        Column(
            "fulfilled",
            Integer,
            CheckConstraint("fulfilled BETWEEN 0 AND quantity", name=f"{table}_is_shipped_once"),
            nullable=False,
            server_default="0",
        ),
    ]


def _movement_columns() -> list[Column[Any]]:
    return [
        Column("lsn", LONG, nullable=False),
        Column("position", Integer, nullable=False),
        Column("at", Instant, nullable=False),
        Column("kind", Text, nullable=False),
        Column("organization_id", KEY, nullable=False),
        Column("variant_id", KEY, nullable=False),
        Column("warehouse_id", KEY, nullable=False),
        *_deltas(),
        *_quantities("_before"),
        *_quantities("_after"),
        Column("reference", Text, nullable=False),
        Column("reason", Text, nullable=False),
        Column("reservation_id", KEY, nullable=False, server_default=""),  # empty: of none
        Column("order_id", KEY, nullable=False, server_default=""),
    ]


def _journal_columns() -> list[Column[Any]]:
    return [
        Column("lsn", LONG, nullable=False),
        Column("organization_id", KEY, nullable=False),  # empty: an answer that is remembered for several
        Column("at", Instant, nullable=False),
        Column("kind", Text, nullable=False),
        Column("reservation_id", KEY, nullable=False),  # empty: of none
        Column("order_id", KEY, nullable=False),
        Column("state", Text, nullable=False, comment="of the reservation, after it"),
        Column("expires_at", Instant, comment="likewise"),
        Column("reference", KEY, nullable=False),
        Column("reason", Text, nullable=False),
        Column("request_id", KEY, nullable=False),
        Column("actor", Text, nullable=False, comment="as the caller said"),
        Column("correlation_id", Text, nullable=False, comment="as the caller said"),
        Column("details", Text, nullable=False, comment="JSON, or empty"),
    ]


reservation = Table(
    "reservation",
    metadata,
    *_reservation_columns(),
    PrimaryKeyConstraint("organization_id", "reservation_id", name="reservation_key"),
    # A CASE and no IN: for more than two values SQLite would build a temporary index, for every row anew.
    CheckConstraint(
        "CASE state"
        " WHEN 'active' THEN confirmed_at IS NULL AND ended_at IS NULL"
        " WHEN 'confirmed' THEN confirmed_at IS NOT NULL AND ended_at IS NULL"
        " WHEN 'fulfilled' THEN confirmed_at IS NOT NULL AND ended_at IS NOT NULL"
        " WHEN 'released' THEN ended_at IS NOT NULL"
        " WHEN 'expired' THEN confirmed_at IS NULL AND ended_at IS NOT NULL"
        " ELSE FALSE END",
        name="reservation_state_agrees_with_its_times",
    ),
    Index("reservation_by_order", "organization_id", "order_id"),  # load_order, orders_after
    Index("reservation_by_state", "organization_id", "state", "reservation_id"),  # list_reservations of one state
    Index(  # due, next_expiry_ms, active_items: as small as the number of active reservations
        "reservation_by_expiry",
        "expires_at",
        "organization_id",
        "reservation_id",
        sqlite_where=text("state = 'active'"),
        postgresql_where=text("state = 'active'"),
    ),
    Index(  # move_out
        "reservation_by_end",
        "ended_at",
        "organization_id",
        "reservation_id",
        sqlite_where=text("ended_at IS NOT NULL"),
        postgresql_where=text("ended_at IS NOT NULL"),
    ),
    postgresql_with={"fillfactor": 80},
    **OPTIONS,
)

reservation_item = Table(
    "reservation_item",
    metadata,
    *_item_columns("reservation_item"),
    PrimaryKeyConstraint("organization_id", "reservation_id", "line", name="reservation_item_key"),
    CheckConstraint("quantity > 0", name="reservation_item_has_a_quantity"),
    **OPTIONS,
)

stock_movement = Table(
    "stock_movement",
    metadata,
    *_movement_columns(),
    PrimaryKeyConstraint("lsn", "position", name="stock_movement_key"),
    **OPTIONS,
)

journal_entry = Table(
    "journal_entry",
    metadata,
    *_journal_columns(),
    PrimaryKeyConstraint("lsn", "organization_id", name="journal_entry_key"),
    Index("journal_entry_by_organization", "organization_id", "lsn"),
    Index(  # a reservation has no reference before it is shipped, and pays nothing for this
        "journal_entry_by_reference",
        "organization_id",
        "reference",
        "lsn",
        sqlite_where=text("reference <> ''"),
        postgresql_where=text("reference <> ''"),
    ),
    **OPTIONS,
)

transfer = Table(
    "transfer",
    metadata,
    Column("organization_id", KEY, nullable=False),
    Column("transfer_id", KEY, nullable=False),
    Column("from_warehouse_id", KEY, nullable=False),
    Column("to_warehouse_id", KEY, nullable=False),
    Column("state", Text, nullable=False),
    Column("shipped_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("lsn", LONG, nullable=False, comment="of its last transition"),
    PrimaryKeyConstraint("organization_id", "transfer_id", name="transfer_key"),
    CheckConstraint(
        "CASE state WHEN 'in_transit' THEN ended_at IS NULL WHEN 'received' THEN ended_at IS NOT NULL"
        " WHEN 'cancelled' THEN ended_at IS NOT NULL ELSE 1 = 0 END",
        name="transfer_state_has_its_times",
    ),
    Index("transfer_by_age", "organization_id", "shipped_at", "transfer_id"),  # list_transfers
    Index("transfer_by_state", "organization_id", "state", "shipped_at", "transfer_id"),  # list_transfers in one state
    *(  # list_transfers of a warehouse, which is either end of them
        Index(f"transfer_by_{end}", "organization_id", f"{end}_warehouse_id", "state", "shipped_at", "transfer_id")
        for end in ("from", "to")
    ),
    **OPTIONS,
)

transfer_line = Table(
    "transfer_line",
    metadata,
    Column("organization_id", KEY, nullable=False),
    Column("transfer_id", KEY, nullable=False),
    Column("line", SHORT, nullable=False),
    Column("variant_id", KEY, nullable=False),
    Column("sent", Integer, nullable=False),
    Column("received", Integer, nullable=False),
    Column("damaged", Integer, nullable=False),
    Column("missing", Integer, nullable=False),
    PrimaryKeyConstraint("organization_id", "transfer_id", "line", name="transfer_line_key"),
    CheckConstraint(
        "sent > 0 AND received >= 0 AND damaged >= 0 AND missing >= 0 AND received + damaged + missing <= sent",
        name="transfer_line_adds_up",
    ),
    **OPTIONS,
)

request = Table(
    "request",
    metadata,
    Column("scope", KEY, nullable=False),
    Column("request_id", KEY, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("outcome", Text, nullable=False, comment="JSON"),
    Column("lsn", LONG, nullable=False),
    Column("at", Instant, nullable=False),
    PrimaryKeyConstraint("scope", "request_id", name="request_key"),
    Index("request_by_age", "at", "scope", "request_id"),  # move_out
    **OPTIONS,
)

event_cursor = Table(
    "event_cursor",
    metadata,
    Column("name", KEY, nullable=False),
    Column("fence", LONG, nullable=False, comment="of the relays that have had it, only the last may move it"),
    Column("lsn", LONG, nullable=False, comment="passed on up to this transaction …"),
    Column("position", Integer, nullable=False, comment="… and this row of it; 2147483647: all of it"),
    Column("published", LONG, nullable=False),
    Column("unroutable", LONG, nullable=False),
    Column("moved_at", Instant),
    Column("released", SHORT, nullable=False),
    PrimaryKeyConstraint("name", name="event_cursor_key"),
    **OPTIONS,
)

ownership = Table(
    "ownership",
    metadata,
    Column("singleton", SHORT, nullable=False, autoincrement=False),
    Column("epoch", LONG, nullable=False, comment="a server writes only while this is its own"),
    Column("owner", Text, nullable=False),
    Column("last_lsn", LONG, nullable=False, comment="of the newest transaction"),
    Column("last_at", Instant),
    # Earlier transactions may have no row in `journal_entry`: they are of a version that wrote none.
    Column("entries_from_lsn", LONG, nullable=False, server_default="1"),
    Column("database_id", Text, nullable=False, server_default="", comment="whose LSNs these are, for ever"),
    Column("cell", Text, nullable=False, server_default=""),  # empty: it is none
    Column("map_version", LONG, nullable=False, server_default="0"),
    Column("map_digest", Text, nullable=False, server_default=""),
    Column("generation", Text, nullable=False, server_default="", comment="of the last takeover, and of no other"),
    PrimaryKeyConstraint("singleton", name="ownership_key"),
    CheckConstraint("singleton = 1", name="ownership_has_one_row"),
    **OPTIONS,
)

# ---- what was moved out: `storage.sql.archive` writes it, and no request reads it ----------------------------

stock_opening = Table(
    "stock_opening",
    metadata,
    Column("organization_id", KEY, nullable=False),
    Column("variant_id", KEY, nullable=False),
    Column("warehouse_id", KEY, nullable=False),
    *_quantities(),
    Column("lsn", LONG, nullable=False, comment="of the row's last movement that was moved out"),
    PrimaryKeyConstraint("organization_id", "variant_id", "warehouse_id", name="stock_opening_key"),
    **OPTIONS,
)

reservation_archive = Table(
    "reservation_archive",
    metadata,
    *_reservation_columns(),
    PrimaryKeyConstraint("organization_id", "reservation_id", name="reservation_archive_key"),
    CheckConstraint("ended_at IS NOT NULL", name="reservation_archive_is_of_what_ended"),
    **OPTIONS,
)

reservation_item_archive = Table(
    "reservation_item_archive",
    metadata,
    *_item_columns("reservation_item_archive"),
    PrimaryKeyConstraint("organization_id", "reservation_id", "line", name="reservation_item_archive_key"),
    **OPTIONS,
)

stock_movement_archive = Table(
    "stock_movement_archive",
    metadata,
    *_movement_columns(),
    PrimaryKeyConstraint("lsn", "position", name="stock_movement_archive_key"),
    **OPTIONS,
)

journal_entry_archive = Table(
    "journal_entry_archive",
    metadata,
    *_journal_columns(),
    PrimaryKeyConstraint("lsn", "organization_id", name="journal_entry_archive_key"),
    Index("journal_entry_archive_by_organization", "organization_id", "lsn"),
    **OPTIONS,
)
