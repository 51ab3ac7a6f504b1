"""The tables of the rivals on Postgres, made and filled before their servers start, and read when they have ended."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import asyncpg  # type: ignore[import-untyped]

TABLES = """
CREATE TABLE stock (
    organization_id text COLLATE "C", variant_id text COLLATE "C", warehouse_id text COLLATE "C",
    available int NOT NULL CHECK (available >= 0), reserved int NOT NULL CHECK (reserved >= 0),
    PRIMARY KEY (organization_id, variant_id, warehouse_id)
) WITH (fillfactor = 70);
CREATE TABLE reservation (
    reservation_id uuid PRIMARY KEY, organization_id text COLLATE "C" NOT NULL, order_id text COLLATE "C" NOT NULL,
    state text NOT NULL, created_at timestamptz NOT NULL DEFAULT now(), expires_at timestamptz NOT NULL,
    UNIQUE (organization_id, order_id)
);
CREATE TABLE reservation_item (
    reservation_id uuid, line smallint, variant_id text NOT NULL, warehouse_id text NOT NULL,
    quantity int NOT NULL, stock_before int NOT NULL, PRIMARY KEY (reservation_id, line)
);
"""

# Lines come sorted: two orders lock the rows that both want in the same order. Of an order that is known, nothing is
# taken again.
FUNCTION = """
CREATE FUNCTION reserve(
    organization text, an_order text, variants text[], warehouses text[], quantities int[], new_id uuid,
    expiry timestamptz
) RETURNS TABLE (id uuid, until timestamptz, variant text, warehouse text, pieces int, before int)
LANGUAGE plpgsql AS $$
DECLARE
    after int;
BEGIN
    INSERT INTO reservation (reservation_id, organization_id, order_id, state, expires_at)
        VALUES (new_id, organization, an_order, 'active', expiry) ON CONFLICT (organization_id, order_id) DO NOTHING;
    IF NOT FOUND THEN
        RETURN QUERY SELECT reservation_id, expires_at, i.variant_id, i.warehouse_id, i.quantity, i.stock_before
            FROM reservation JOIN reservation_item i USING (reservation_id)
            WHERE organization_id = organization AND order_id = an_order ORDER BY i.line;
        RETURN;
    END IF;
    id := new_id;
    until := expiry;
    FOR position IN 1 .. cardinality(variants) LOOP
        variant := variants[position];
        warehouse := warehouses[position];
        pieces := quantities[position];
        UPDATE stock SET available = available - pieces, reserved = reserved + pieces
            WHERE organization_id = organization AND variant_id = variant AND warehouse_id = warehouse
                AND available >= pieces
            RETURNING available INTO after;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'variant %', variant USING ERRCODE = 'check_violation';
        END IF;
        before := after + pieces;
        INSERT INTO reservation_item VALUES (new_id, position, variant, warehouse, pieces, before);
        RETURN NEXT;
    END LOOP;
END $$;
"""


def make(url: str, organization_id: str, warehouse_id: str, variants: Sequence[str], pieces: int) -> None:
    """Make the tables, and put the pieces of each variant into them."""

    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(TABLES + FUNCTION)
            await connection.copy_records_to_table(
                "stock", records=[(organization_id, variant_id, warehouse_id, pieces, 0) for variant_id in variants]
            )
            await connection.execute("ANALYZE")
        finally:
            await connection.close()

    asyncio.run(run())


def held(url: str) -> tuple[int, int, Counter[str]]:
    """Reservations, their items, and the reserved pieces of each variant, of a rival or of stockkeeper."""

    async def run() -> tuple[int, int, Counter[str]]:
        connection = await asyncpg.connect(url)
        try:
            reservations = await connection.fetchval(
                "SELECT count(*) FROM reservation WHERE state IN ('active', 'confirmed')"
            )
            items = await connection.fetchval(
                "SELECT coalesce(sum(quantity), 0) FROM reservation_item JOIN reservation USING (reservation_id)"
                " WHERE state IN ('active', 'confirmed')"
            )
            rows = await connection.fetch("SELECT variant_id, reserved FROM stock WHERE reserved > 0")
            return reservations, items, Counter({row["variant_id"]: row["reserved"] for row in rows})
        finally:
            await connection.close()

    return asyncio.run(run())
