"""The cost of the database's part, without the service: `python -m bench.storage`, with a URL behind it on Postgres.

Writes `bench/results/storage.json`: reservations of two lines a second by the size of the batch, through the
store as the journal calls it (one caller, every batch synced), over 50 rows and over 20,000; and how long reads
take. A Postgres database keeps what was written, and the figures are only printed.
"""

import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uuid_utils
from msgspec.structs import replace

from actors.records import OrderKey, ReservationItem, ReservationRecord, RowChange, StockRecord, Transaction, VariantKey
from bench.machine import describe
from storage.sql.sql_store import SqlStore

RESULTS = Path(__file__).parent / "results"
START_MS = 1_790_000_000_000
ROWS = 20_000
BATCHES = {1: 2_000, 10: 1_000, 100: 200, 1000: 30}
READS = 200


class Writer:
    """Makes reservations of two lines on rows chosen at random, each from the state that the last one left."""

    def __init__(self, store: SqlStore, last_lsn: int, rows_used: int) -> None:
        self.organization_id = str(uuid_utils.uuid7())
        self._store = store
        self._rows_used = rows_used
        self._rng = random.Random(1)
        self._lsn = last_lsn
        self._rows = [
            StockRecord(self.organization_id, f"variant_{n:06}", f"wh_{n % 10}", str(uuid_utils.uuid7()))
            for n in range(ROWS)
        ]
        self.orders: list[OrderKey] = []

    def __repr__(self) -> str:
        return f"<Writer last_lsn={self._lsn} orders={len(self.orders)}>"

    async def fill(self) -> None:
        changes = [self._change(n, 1_000_000, 0) for n in range(ROWS)]
        await self._store.write([self._transaction("import", changes)])

    async def rate(self, size: int, batches: int) -> int:
        """Reservations a second in batches of this size."""
        history = [[self._reserve() for _ in range(size)] for _ in range(batches)]
        begin = time.perf_counter()
        for batch in history:
            await self._store.write(batch)
        return round(size * batches / (time.perf_counter() - begin))

    def _reserve(self) -> Transaction:
        order = OrderKey(self.organization_id, f"order_{self._rng.getrandbits(64):016x}")
        self.orders.append(order)
        changes = [self._change(n, -1, 1) for n in self._rng.sample(range(self._rows_used), 2)]
        items = tuple(
            ReservationItem(row.variant_id, row.warehouse_id, "", row.stock_id, 1, row.available + 1, row.available)
            for row in (change.after for change in changes)
        )
        at_ms = START_MS + self._lsn
        reservation = ReservationRecord(
            str(uuid_utils.uuid7()),
            *order,
            state="active",
            created_at_ms=at_ms,
            expires_at_ms=at_ms + 900_000,
            items=items,
        )
        return replace(self._transaction("reserve", changes), reservation=reservation)

    def _change(self, n: int, available: int, reserved: int) -> RowChange:
        before = self._rows[n]
        after = self._rows[n] = replace(
            before,
            available=before.available + available,
            reserved=before.reserved + reserved,
            version=before.version + 1,
        )
        return RowChange(before, after)

    def _transaction(self, kind: Any, changes: Sequence[RowChange]) -> Transaction:
        self._lsn += 1
        return Transaction(self._lsn, START_MS + self._lsn, kind, tuple(changes))


async def reads(store: SqlStore, writer: Writer) -> dict[str, float]:
    """Milliseconds a call, from outside the thread."""
    rng = random.Random(2)
    variants = [VariantKey(writer.organization_id, f"variant_{n:06}") for n in range(ROWS)]
    calls = {
        "load_variants, 1": lambda: store.load_variants(rng.sample(variants, 1)),
        "load_variants, 500": lambda: store.load_variants(rng.sample(variants, 500)),
        "load_orders, 1": lambda: store.load_orders(rng.sample(writer.orders, 1)),
        "load_orders, 500": lambda: store.load_orders(rng.sample(writer.orders, 500)),
        "due, 100": lambda: store.due(START_MS + 10**9, 100),
        "next_expiry_ms": store.next_expiry_ms,
    }
    found = {}
    for name, call in calls.items():
        begin = time.perf_counter()
        for _ in range(READS):
            await call()
        found[name] = round((time.perf_counter() - begin) / READS * 1000, 3)
    return found


async def measure(url: str, rows_used: int) -> dict[str, Any]:
    store = SqlStore(url, owner="bench")
    ownership = await store.open()
    try:
        writer = Writer(store, ownership.last_lsn, rows_used)
        await writer.fill()
        rates = {str(size): await writer.rate(size, batches) for size, batches in BATCHES.items()}
        return {"reservations_per_second_by_batch": rates, "read_ms": await reads(store, writer)}
    finally:
        await store.close()


async def main(url: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        figures: dict[str, Any] = {"machine": describe()}
        for rows in (50, ROWS):
            figures[f"{rows} rows"] = await measure(url or f"sqlite+aiosqlite:///{directory}/{rows}.db", rows)
    text = json.dumps(figures, indent=2)
    if not url:
        (RESULTS / "storage.json").write_text(f"{text}\n")
    print(text)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else ""))
