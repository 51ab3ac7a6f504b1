"""The audit names each kind of disagreement, on both databases, and finds none where all agrees."""

import re
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from actors.records import Transaction
from storage.sql.audit import CHECKS, Audit, audit
from storage.sql.sql_store import SqlStore
from tests.postgres import running_postgres
from tests.storage.scribe import MINUTE_MS, Scribe

pytestmark = pytest.mark.anyio

QUANTITIES = ["available", "reserved", "damaged", "in_transit"]
OTHER = {"available": "damaged", "reserved": "damaged", "damaged": "available", "in_transit": "available"}

DAMAGES = [
    (
        "quantities",
        "UPDATE stock SET total = 11 WHERE variant_id = 'a'",
        "a@w has total 11, but 7 available, 3 reserved",
    ),
    *(
        (
            f"conservation, {quantity}",
            f"UPDATE stock SET {quantity} = {quantity} + 1, {OTHER[quantity]} = {OTHER[quantity]} - 1",
            rf"org_1/a@w has \d+ {quantity}, but its movements add up to \d+",
        )
        for quantity in QUANTITIES
    ),
    *(
        (
            f"ledger chain, {quantity}",
            f"UPDATE stock_movement SET {quantity}_before = 5, {quantity}_after = 5 WHERE lsn = 4",
            rf"org_1/a@w: LSN 4 begins at 5 {quantity}, but the movement before it ended at \d+",
        )
        for quantity in QUANTITIES
    ),
    ("movements of unknown rows", "DELETE FROM stock WHERE variant_id = 'b'", "org_1/b@w does not exist, but LSN 5"),
    (
        "movements of deleted rows",
        "UPDATE stock_movement SET kind = 'delete' WHERE lsn = 5 AND variant_id = 'b'",
        "org_1/b@w was deleted by LSN 5, but is there",
    ),
    (
        "deletions of empty rows",
        "UPDATE stock_movement SET kind = 'delete' WHERE lsn = 5 AND variant_id = 'b'",
        "org_1/b@w was not empty when LSN 5 deleted it",
    ),
    ("items of unknown rows", "DELETE FROM stock WHERE variant_id = 'b'", "org_1/b@w does not exist, but reservation"),
    (
        "openings of unknown rows",
        "DELETE FROM stock WHERE variant_id = 'b'",
        "b@w does not exist, but its ledger opens",
    ),
    ("end of the journal", "UPDATE ownership SET last_lsn = 4", "the journal ends at LSN 4, but there is .* LSN 5"),
    ("end of the journal", "UPDATE request SET lsn = 9", "the journal ends at LSN 5, but there is a record of LSN 9"),
    ("gaps of the journal", "DELETE FROM journal_entry WHERE lsn = 4", "LSN 5 of the journal follows LSN 3"),
    (
        "last entry of the journal",
        "DELETE FROM journal_entry WHERE lsn = 5",
        "the journal ends at LSN 5, but its last entry is of LSN 4",
    ),
    *(
        ("movements without entries", damage, "org_1/.@w was moved by LSN 4, of which the journal says nothing or")
        for damage in (
            "DELETE FROM journal_entry WHERE lsn = 4",
            "UPDATE journal_entry SET kind = 'receive' WHERE lsn = 4",
            "UPDATE journal_entry SET reservation_id = 'other' WHERE lsn = 4",
        )
    ),
    *(
        (
            "reservations and the journal",
            f"UPDATE journal_entry SET {change} WHERE lsn = 4",
            "-000004 of org_1 is active",
        )
        for change in ("state = 'expired'", "expires_at = at")
    ),
    (
        "reservations",
        "UPDATE reservation SET state = 'released', ended_at = created_at WHERE order_id = 'active'",
        "org_1/a@w has 3 reserved, but its active and confirmed reservations hold 0",
    ),
    (
        "items of unknown reservations",
        "DELETE FROM reservation WHERE order_id = 'active'",
        "org_1 has no reservation reservation-000004, but there are items of it",
    ),
    (
        "items of unknown reservations in the archive",
        "DELETE FROM reservation_archive",
        "org_1 has no reservation reservation-000002 in the archive, but",
    ),
    (
        "reservations without items",
        "DELETE FROM reservation_item",
        "reservation reservation-00000. of org_1 has no items",
    ),
    (
        "reservations without items in the archive",
        "DELETE FROM reservation_item_archive",
        "reservation reservation-000002 of org_1 in the archive has no items",
    ),
    (
        "reservations without movements",
        "DELETE FROM stock_movement WHERE lsn = 4",
        "reservation reservation-000004 of org_1 was made by LSN 4, which moved nothing for it",
    ),
    (
        "reservations without movements",
        "UPDATE stock_movement SET reservation_id = ''",
        "reservation reservation-000004 of org_1 was made by LSN 4, which moved nothing for it",
    ),
    (
        "orders of movements",
        "UPDATE stock_movement SET order_id = 'SHIP-1' WHERE lsn = 4",
        "org_1/a@w: LSN 4 is of order SHIP-1, but its reservation reservation-000004 is of order active",
    ),
    *(
        (
            f"archived chain, {quantity}",
            f"UPDATE stock_movement_archive SET {quantity}_before = 77 WHERE lsn = 2",
            rf"org_1/.@w: LSN 2 in the archive begins at 77 {quantity}, but the movement before it ended at \d+",
        )
        for quantity in QUANTITIES
    ),
    (
        "opening balances",
        "UPDATE stock_opening SET damaged = 1 WHERE variant_id = 'b'",
        "org_1/b@w: the archive ends with 10 available, 0 reserved, 0 damaged and 0 in transit at LSN 3,"
        " but the ledger opens with 10, 0, 1 and 0 at LSN 3",
    ),
    ("opening balances", "DELETE FROM stock_opening", "but the ledger opens with None"),
    ("ledger chain, available", "DELETE FROM stock_opening", "LSN 4 begins at 10 available, but .* ended at 0"),
    (
        "movements before the opening",
        "UPDATE stock_opening SET lsn = 5 WHERE variant_id = 'b'",
        "org_1/b@w: LSN 5 is in the ledger, which opens after LSN 5",
    ),
    (
        "archived reservations",
        "INSERT INTO reservation SELECT * FROM reservation_archive",
        "reservation reservation-000002 of org_1 is in the archive as released, though",
    ),
    ("archived reservations", "UPDATE reservation_archive SET state = 'active'", "is in the archive as active, though"),
]

A_TRANSFER = (
    "INSERT INTO transfer SELECT organization_id, 't1', 'w', 'w2', 'in_transit', created_at, NULL, 4"
    " FROM reservation WHERE order_id = 'active'"
)
LINES_OF_IT = "INSERT INTO transfer_line VALUES ('org_1', 't1', 1, 'a', 5, {0}, 0, 0)"
DAMAGES += [
    ("transfers without lines", A_TRANSFER, "transfer t1 of org_1 has no lines"),
    ("lines of unknown transfers", LINES_OF_IT.format(0), "org_1 has no transfer t1, but there are lines of it"),
    (
        "transfers and what is open of them",
        f"{A_TRANSFER}; {LINES_OF_IT.format(5)}",
        "transfer t1 of org_1 is in_transit, and 0 pieces of it are open",
    ),
    (
        "transfers and what is open of them",
        f"{A_TRANSFER}; {LINES_OF_IT.format(2)}; UPDATE transfer SET state = 'received', ended_at = shipped_at",
        "transfer t1 of org_1 is received, and 3 pieces of it are open",
    ),
    (
        "transfers and the journal",
        f"{A_TRANSFER}; {LINES_OF_IT.format(0)}",
        "transfer t1 of org_1 is in_transit, but LSN 4 left it so as a reserve",
    ),
]

EMPTY_THE_ARCHIVE = (
    "DELETE FROM stock_movement_archive; DELETE FROM journal_entry_archive; DELETE FROM reservation_archive;"
    " DELETE FROM reservation_item_archive"
)


def history() -> tuple[list[Transaction], int]:
    """A reservation that is over, and then, a day later, two that hold stock; and the time in between."""
    scribe = Scribe()
    first = [scribe.counted([("a", "w", 10), ("b", "w", 10)]), scribe.reserve("over", [("a", "w", 1), ("b", "w", 2)])]
    first.append(scribe.release(first[1].reservation))
    scribe.at_ms += 24 * 60 * MINUTE_MS
    request = scribe.request("new")
    second = [scribe.reserve("active", [("a", "w", 3)]), scribe.reserve("new", [("b", "w", 1)], request=request)]
    return first + second, scribe.at_ms


async def prepare(url: str) -> None:
    transactions, limit_ms = history()
    store = SqlStore(url)
    await store.open()
    await store.write(transactions)
    moved = await store.move_out(limit_ms, 500)
    assert (moved.reservations, moved.items, moved.movements) == (1, 2, 6)
    await store.close()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        path: Path = tmp_path_factory.mktemp("audit") / "x.db"
        url = f"sqlite+aiosqlite:///{path}"
        anyio.run(prepare, url)
        yield url
        return
    with running_postgres() as postgres:
        url = str(postgres.get_uri()).replace("postgresql://", "postgresql+asyncpg://")
        anyio.run(prepare, url)
        yield url


async def audited(url: str, damage: str = "") -> Audit:
    """The audit after some damage, of which nothing stays."""
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                await connection.execute(text("PRAGMA ignore_check_constraints = 1"))
            elif damage:
                await connection.execute(text("ALTER TABLE stock DROP CONSTRAINT stock_is_never_negative"))
                await connection.execute(text("ALTER TABLE stock DROP CONSTRAINT stock_total_is_the_sum"))
            for statement in filter(None, damage.split("; ")):
                assert (await connection.execute(text(statement))).rowcount > 0
            return await connection.run_sync(audit)
    finally:
        await engine.dispose()


async def test_an_audit_of_a_sound_database_finds_nothing(url: str) -> None:
    found = await audited(url)
    assert found.disagreements == ()
    assert found.summary == "2 stock rows, 2 movements, 2 reservations; archived: 6 movements, 1 reservations"


async def test_the_archive_may_be_emptied(url: str) -> None:
    found = await audited(url, EMPTY_THE_ARCHIVE)
    assert found.disagreements == ()
    assert found.summary == "2 stock rows, 2 movements, 2 reservations"


@pytest.mark.parametrize(("check", "damage", "sentence"), DAMAGES)
async def test_each_kind_of_damage_is_named(url: str, check: str, damage: str, sentence: str) -> None:
    sentences = {found.check: found.sentence for found in (await audited(url, damage)).disagreements}
    assert re.search(sentence, sentences[check])


def test_every_check_is_seen_to_fail() -> None:
    assert {check for check, _, _ in DAMAGES} == {check.name for check in CHECKS}
