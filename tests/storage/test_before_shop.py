"""A database of the time before warehouses, levels, transfers and shipments in part keeps all its answers.

`databases/schema_0003.sql` is what a server of revision 6f2b435 wrote, `schema_0003.json` what its store told of it and
the fingerprints that it gave to what was asked under idempotency keys.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.commands import (
    Adjust,
    Adjustment,
    Announce,
    Confirm,
    CountedLine,
    Deduct,
    Delete,
    DeliveryLine,
    Extend,
    Fulfill,
    Import,
    KeyedCommand,
    Line,
    Receive,
    Reserve,
)
from actors.idempotency import fingerprint, recall, request_key
from actors.outcomes import Outcome, Refused, RequestIdReused, ReservationConfirmed, ReservationExtended, StockImported
from actors.queries import GetStockAt, ListMovements
from actors.transfer_commands import ShippedLine, ShipTransfer
from actors.warehouse_commands import UpsertWarehouse
from storage.sql.audit import audit
from storage.sql.snapshot import read_snapshot
from storage.sql.sql_store import SqlStore
from supervisor.supervisor import Supervisor
from tests.core.conftest import World
from tests.storage.contract import contents

pytestmark = pytest.mark.anyio

DATABASES = Path(__file__).parent / "databases"
TOLD: dict[str, Any] = msgspec.json.decode((DATABASES / "schema_0003.json").read_bytes())
ACTIVE, PAID, SENT = "id-000006", "id-000007", "id-000008"


def _count(number: int, organization: str, variant: str, warehouse: str, *figures: int, name: str = "") -> CountedLine:
    total, damaged, in_transit, least, most = figures
    return CountedLine(organization, variant, warehouse, name, total, damaged, in_transit, least, most, number)


FIRST_COUNT = (
    _count(1, "shop", "mug", "madrid", 20, 1, 2, 3, 90, name="Madrid"),
    _count(2, "shop", "mug", "lisbon", 5, 0, 0, 0, 0),
    _count(3, "shop", "pot", "madrid", 8, 0, 0, 9, 0),
    _count(4, "other", "mug", "paris", 4, 0, 0, 0, 0),
)
FOUND = (Adjustment("mug", "lisbon", "mark_damaged", 1), Adjustment("pot", "madrid", "delta", 1))
ASKED: list[KeyedCommand] = [
    Import(FIRST_COUNT, "import-1"),
    Receive("shop", (DeliveryLine("mug", "lisbon", 7),), "delivery-1", "purchase", "PO-1"),
    Receive("shop", (DeliveryLine("cup", "porto", 3, 1),), "delivery-2", "purchase", "PO-2"),
    Reserve("shop", "active", (Line("mug", "", 2), Line("pot", "madrid", 1)), 44_640, "key-active"),
    Reserve("shop", "short", (Line("mug", "madrid", 99),), 15, "key-short"),
    Reserve("shop", "unknown", (Line("hat", "", 1),), 15, "key-unknown"),
    Fulfill("shop", SENT, "ship-1", "parcel 7"),
    Fulfill("shop", ACTIVE, "ship-2", ""),
    Announce("shop", (Line("pot", "madrid", 6),), "announced-1", "", "PO-3"),
    Deduct("shop", (Line("cup", "", 1),), "till-1", "till", "R-1"),
    Adjust("shop", FOUND, "found-1", "found", ""),
    Adjust("shop", (Adjustment("mug", "madrid", "count", 1),), "found-2", "counted", ""),
    Receive("shop", (DeliveryLine("capp", "madrid", 1),), "typo-1"),
    Deduct("shop", (Line("capp", "madrid", 1),), "typo-2"),
    Delete("shop", "capp", "madrid", "typo-3"),
    Import((_count(1, "shop", "mug", "madrid", 18, 1, 0, 3, 90),), "import-2"),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A copy of the file."""
    path = tmp_path / "before.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript((DATABASES / "schema_0003.sql").read_text())
    return f"sqlite+aiosqlite:///{path}"


def differences(told: Any, tells: Any, place: str = "") -> list[str]:
    """Where what is told now is not what was told. What was not told then is no difference."""
    if isinstance(told, dict) and isinstance(tells, dict):
        return [one for key in told for one in differences(told[key], tells.get(key), f"{place}.{key}")]
    if isinstance(told, list) and isinstance(tells, list) and len(told) == len(tells):
        pairs = enumerate(zip(told, tells, strict=True))
        return [one for number, pair in pairs for one in differences(*pair, f"{place}[{number}]")]
    return [] if told == tells else [f"{place}: {told!r} → {tells!r}"]


async def outcome_of(core: Supervisor, command: KeyedCommand) -> Outcome:
    try:
        return await core.ask(command)
    except Refused as refused:
        return refused.refusal


async def test_the_store_tells_what_it_told(url: str) -> None:
    store = SqlStore(url)
    await store.open()
    tells = msgspec.json.decode(msgspec.json.encode(await contents(store)))
    await store.close()
    assert len(TOLD["answers"]["reservations"]) == 6
    assert differences(TOLD["answers"], tells) == []
    assert differences({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}) == [".a[1].b: 2 → 3"]
    assert (await read_snapshot(url, audit)).disagreements == ()


async def test_what_was_asked_under_a_key_gets_the_answer_that_it_got(url: str, world: World) -> None:
    assert {one.request_id: fingerprint(one) for one in ASKED} == TOLD["fingerprints"]
    store = SqlStore(url)
    async with world.core(store) as core:
        assert core._core is not None
        journal = core._core.journal
        last_lsn = journal.last_lsn
        for command in ASKED:
            key = request_key(command)
            assert key is not None
            kept = await store.load_request(key)
            assert kept is not None
            assert await outcome_of(core, command) == recall(kept)
        other = Deduct("shop", (Line("cup", "", 2),), "till-1", "till", "R-1")
        assert await outcome_of(core, other) == RequestIdReused("till-1")
        assert journal.last_lsn == last_lsn


async def test_what_stood_then_goes_on_with_all_that_there_is_now(url: str, world: World) -> None:
    async with world.core(SqlStore(url)) as core:
        extended = await core.ask(Extend("shop", ACTIVE, 44_640, "extend-1"))
        assert isinstance(extended, ReservationExtended)
        confirmed = await core.ask(Confirm("shop", ACTIVE, "active"))
        assert isinstance(confirmed, ReservationConfirmed)
        await core.ask(Fulfill("shop", PAID, "part-1", "parcel", lines=(Line("mug", "", 1),)))
        await core.ask(UpsertWarehouse("shop", "lisbon", None, None, None, False, "close-1"))
        await core.ask(ShipTransfer("shop", "t1", "lisbon", "madrid", (ShippedLine("mug", 2),), "ship-t1"))
        then = await core.answer(GetStockAt("shop", "mug", "lisbon", at_ms=1_700_000_000_000)).wait()
        assert then.pieces is not None
        page = await core.answer(ListMovements("shop", limit=500)).wait()
        kinds = [one.kind for one in page.movements]
        assert kinds[:3] == ["import", "import", "import"]
        assert kinds[-3:] == ["fulfill", "ship_transfer", "ship_transfer"]
    assert (await read_snapshot(url, audit)).disagreements == ()


async def test_request_ids_of_the_schema_before_are_told_apart_and_not_carried_out(
    tmp_path: Path, world: World
) -> None:
    """Its fingerprints were others (CHANGELOG): a retry is refused. An import's id had no organization."""
    path = tmp_path / "older.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript((DATABASES / "schema_0002.sql").read_text())
    async with world.core(SqlStore(f"sqlite+aiosqlite:///{path}")) as core:
        assert core._core is not None
        journal = core._core.journal
        last_lsn = journal.last_lsn
        for command in (
            Receive("shop", (DeliveryLine("mug", "madrid", 7),), "delivery-2", "purchase", "PO-2"),
            Fulfill("shop", "id-0011", "ship-2", "SHIP-2"),
            Reserve("shop", "b2", (Line("mug", "madrid", 3),), 15, "key-2"),
        ):
            assert await outcome_of(core, command) == RequestIdReused(command.request_id)
        assert journal.last_lsn == last_lsn
        again = Import((_count(1, "shop", "mug", "madrid", 60, 1, 2, 0, 0),), "import-2")
        assert await outcome_of(core, again) == StockImported(1, 0, 1, 0)
        assert journal.last_lsn == last_lsn + 1


@pytest.fixture
def world() -> World:
    return World()
