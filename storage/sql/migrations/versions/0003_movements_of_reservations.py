"""The ledger says of each movement which reservation and which order it belongs to."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
LEDGERS = ("stock_movement", "stock_movement_archive")

# Until now an order's id stood in `reference`, where no tracking number took its place.
RESERVATIONS = "(SELECT {columns} FROM reservation UNION ALL SELECT {columns} FROM reservation_archive)"
ITEMS = "(SELECT {columns} FROM reservation_item UNION ALL SELECT {columns} FROM reservation_item_archive)"
MADE = """
    UPDATE {ledger} SET reservation_id = r.reservation_id, order_id = r.order_id FROM {reservations} AS r
    WHERE {ledger}.kind = 'reserve' AND {ledger}.lsn = r.lsn AND {ledger}.organization_id = r.organization_id"""
# What ended a reservation has its time, its kind and its rows. Two that ended together are told apart by the order
# alone, and not at all if a tracking number took its place: then both ids stay empty.
ENDED = """
    UPDATE {ledger} SET reservation_id = found.reservation_id, order_id = found.order_id FROM (
        SELECT m.lsn, m.position, min(r.reservation_id) AS reservation_id, min(r.order_id) AS order_id
        FROM {ledger} AS m JOIN {reservations} AS r ON r.organization_id = m.organization_id AND r.ended_at = m.at
            AND r.state = CASE m.kind WHEN 'release' THEN 'released' WHEN 'expire' THEN 'expired' ELSE 'fulfilled' END
            AND (m.kind = 'fulfill' OR r.order_id = m.reference)
        JOIN {items} AS i ON i.organization_id = r.organization_id AND i.reservation_id = r.reservation_id
            AND i.variant_id = m.variant_id AND i.warehouse_id = m.warehouse_id
        WHERE m.kind IN ('release', 'expire', 'fulfill')
        GROUP BY m.lsn, m.position HAVING count(DISTINCT r.reservation_id) = 1) AS found
    WHERE {ledger}.lsn = found.lsn AND {ledger}.position = found.position"""
REFERENCE = "UPDATE {ledger} SET reference = '' WHERE reference = order_id AND order_id <> ''"


def upgrade() -> None:
    for ledger in LEDGERS:
        for column in ("reservation_id", "order_id"):
            op.add_column(ledger, sa.Column(column, KEY, server_default="", nullable=False))
    reservations = RESERVATIONS.format(columns="organization_id, reservation_id, order_id, state, ended_at, lsn")
    items = ITEMS.format(columns="organization_id, reservation_id, variant_id, warehouse_id")
    for ledger in LEDGERS:
        for statement in (MADE, ENDED, REFERENCE):
            op.execute(statement.format(ledger=ledger, reservations=reservations, items=items))
