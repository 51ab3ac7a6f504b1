"""Each transaction has a row of its own in each organization that it touches.

What the tables know of earlier ones is filled in: those that moved stock, and those that were remembered. Of a
confirmation no LSN was kept, so that the history is whole only from here on.
"""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0007"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
LONG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
INSTANT = sa.Text().with_variant(sa.TIMESTAMP(timezone=True), "postgresql")
OPTIONS = {"sqlite_strict": True, "sqlite_with_rowid": False}
HAS_REFERENCE = sa.text("reference <> ''")

# What SQLite's planner shall believe: see 0001.
STATISTICS = [
    ("journal_entry", "journal_entry", "4000000 1 1"),
    ("journal_entry", "journal_entry_by_organization", "4000000 16 1"),  # more would tempt it to skip through it
    ("journal_entry", "journal_entry_by_reference", "400000 40000 2 1"),
]

COLUMNS = """lsn, organization_id, at, kind, reservation_id, order_id, state, expires_at, reference, reason, request_id,
    actor, correlation_id, details"""
STATE = """CASE kind WHEN 'reserve' THEN 'active' WHEN 'release' THEN 'released' WHEN 'expire' THEN 'expired'
    WHEN 'fulfill' THEN 'fulfilled' ELSE '' END"""
RESERVATIONS = """(SELECT organization_id, reservation_id, expires_at FROM reservation
    UNION ALL SELECT organization_id, reservation_id, expires_at FROM reservation_archive)"""
FROM_MOVEMENTS = f"""
    INSERT INTO journal_entry{{suffix}} ({COLUMNS})
    SELECT m.lsn, m.organization_id, m.at, m.kind, m.reservation_id, m.order_id,
        CASE WHEN m.reservation_id = '' THEN '' ELSE {STATE} END, r.expires_at, m.reference, m.reason,
        coalesce(q.request_id, ''), '', '', ''
    FROM (SELECT lsn, organization_id, min(at) AS at, min(kind) AS kind, min(reservation_id) AS reservation_id,
            min(order_id) AS order_id, min(reference) AS reference, min(reason) AS reason
        FROM stock_movement{{suffix}} GROUP BY lsn, organization_id) AS m
    LEFT JOIN {RESERVATIONS} AS r
        ON r.organization_id = m.organization_id AND r.reservation_id = m.reservation_id AND m.reservation_id <> ''
    LEFT JOIN request AS q ON q.lsn = m.lsn
    WHERE m.lsn < {{first}}"""
# A transaction that has a line left in the ledger is not in the archive.
FIRST_LINE = "coalesce((SELECT min(lsn) FROM stock_movement), m.lsn + 1)"
FROM_REQUESTS = f"""
    INSERT INTO journal_entry ({COLUMNS})
    SELECT q.lsn, CASE WHEN substr(q.scope, 1, 1) = '\n' THEN '' ELSE q.scope END, q.at, 'remember', '', '', '', NULL,
        '', '', q.request_id, '', '', ''
    FROM request AS q
    WHERE NOT EXISTS (SELECT 1 FROM journal_entry AS e WHERE e.lsn = q.lsn)
        AND NOT EXISTS (SELECT 1 FROM journal_entry_archive AS a WHERE a.lsn = q.lsn)"""


def upgrade() -> None:
    for suffix in ("_archive", ""):
        _create_table(f"journal_entry{suffix}")
    op.add_column("ownership", sa.Column("entries_from_lsn", LONG, server_default="1", nullable=False))
    op.add_column(
        "ownership",
        sa.Column("database_id", sa.Text, server_default="", nullable=False, comment="whose LSNs these are, for ever"),
    )
    op.execute(f"UPDATE ownership SET entries_from_lsn = last_lsn + 1, database_id = '{uuid4().hex}'")
    for statement in (
        FROM_MOVEMENTS.format(suffix="_archive", first=FIRST_LINE),
        FROM_MOVEMENTS.format(suffix="", first="m.lsn + 1"),
        FROM_REQUESTS,
    ):
        op.get_bind().exec_driver_sql(statement)
    for suffix in ("", "_archive"):
        op.create_index(f"journal_entry{suffix}_by_organization", f"journal_entry{suffix}", ["organization_id", "lsn"])
    op.create_index(
        "journal_entry_by_reference",
        "journal_entry",
        ["organization_id", "reference", "lsn"],
        sqlite_where=HAS_REFERENCE,
        postgresql_where=HAS_REFERENCE,
    )
    if op.get_bind().dialect.name == "sqlite":
        for table, index, figures in STATISTICS:
            op.execute(f"INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('{table}', '{index}', '{figures}')")
        op.execute("ANALYZE sqlite_schema")


def _create_table(name: str) -> None:
    op.create_table(
        name,
        sa.Column("lsn", LONG, nullable=False),
        sa.Column("organization_id", KEY, nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("reservation_id", KEY, nullable=False),
        sa.Column("order_id", KEY, nullable=False),
        sa.Column("state", sa.Text, nullable=False, comment="of the reservation, after it"),
        sa.Column("expires_at", INSTANT, comment="likewise"),
        sa.Column("reference", KEY, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("request_id", KEY, nullable=False),
        sa.Column("actor", sa.Text, nullable=False, comment="as the caller said"),
        sa.Column("correlation_id", sa.Text, nullable=False, comment="as the caller said"),
        sa.Column("details", sa.Text, nullable=False, comment="JSON, or empty"),
        sa.PrimaryKeyConstraint("lsn", "organization_id", name=f"{name}_key"),
        **OPTIONS,
    )
