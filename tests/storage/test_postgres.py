"""Postgres keeps the contract, and what is true of Postgres alone. A real server, if one is installed for tests."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import astuple, replace
from sqlalchemy import Connection, event, text

from actors.records import OrderKey, VariantKey
from storage.schema_errors import SchemaTooNew
from storage.sql import order_reads, variant_reads
from storage.sql.batch_postgres import FENCE_PARAMETERS, PART_COLUMNS, compose
from storage.sql.migrate import migrate
from storage.sql.sql_store import SqlStore, backend_for
from storage.store import LEASE_S, DatabaseGone, OwnershipLost, StorageError
from tests.postgres import PostgresServer, running_postgres
from tests.storage.contract import Make, contents
from tests.storage.contract_housekeeping import WholeStoreContract
from tests.storage.postgres_schema import described
from tests.storage.scribe import Scribe

asyncpg = pytest.importorskip("asyncpg")
postgres = pytest.importorskip("storage.sql.postgres")
postgres_lock, postgres_session = (pytest.importorskip(f"storage.sql.postgres_{it}") for it in ("lock", "session"))


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def url(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database."""
    monkeypatch.setattr(postgres_lock, "LOCK_WAIT_MS", 500)
    server.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
    return str(server.get_uri())


@pytest.fixture
def psql(server: PostgresServer, url: str) -> Callable[[str], str]:
    return lambda sql: str(server.psql(sql))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def scribe() -> Scribe:
    return Scribe()


class TestPostgresStore(WholeStoreContract):
    @pytest.fixture
    def make(self, url: str) -> Make:
        return lambda: SqlStore(url, owner="a test")

    @pytest.fixture
    def usurp(self, psql: Callable[[str], str]) -> Callable[[], None]:
        return lambda: print(psql("UPDATE ownership SET epoch = epoch + 1"))  # noqa: T201


@pytest.fixture
def store(url: str) -> SqlStore:
    return SqlStore(url, owner="a test")


@pytest.mark.anyio
class TestOwner:
    async def test_the_refusal_says_who_holds_the_lock(self, store: SqlStore, url: str) -> None:
        await store.open()
        second = SqlStore(url)
        with pytest.raises(OwnershipLost, match=r"stockkeeper on this machine, Postgres process \d+ holds its lock"):
            await second.open()
        await store.close()

    async def test_a_killed_servers_lock_goes_with_its_connection(
        self, store: SqlStore, url: str, psql: Callable[[str], str], scribe: Scribe
    ) -> None:
        await store.open()
        psql("SELECT pg_terminate_backend(pid, 20000) FROM pg_locks WHERE locktype = 'advisory'")
        successor = SqlStore(url)
        assert (await successor.open()).epoch == 2
        batch = [scribe.receive()]
        with pytest.raises(OwnershipLost, match="owns the database since epoch 2; ours was 1"):
            await store.write(batch)
        await successor.write(batch)
        await store.close()
        await successor.close()

    async def test_a_lock_that_was_lost_is_noticed_though_it_is_free(
        self, store: SqlStore, psql: Callable[[str], str]
    ) -> None:
        await store.open()
        await store.check_ownership()
        psql("SELECT pg_terminate_backend(pid, 20000) FROM pg_locks WHERE locktype = 'advisory'")
        with pytest.raises(StorageError, match="the connection that held the lock is gone"):
            await asyncio.wait_for(always(store.check_ownership), 10)
        assert (await store.open()).epoch == 2
        await store.check_ownership()
        await store.close()

    async def test_a_successor_waits_until_a_sleeping_predecessor_may_answer_no_call(
        self, store: SqlStore, url: str, psql: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waits: list[tuple[float, str]] = []

        async def wait(delay_s: float) -> None:
            waits.append((delay_s, psql("SELECT epoch FROM ownership").split()[2]))

        monkeypatch.setattr(postgres, "sleep", wait)
        await store.open()
        assert waits == []  # a new database had no owner
        psql("SELECT pg_terminate_backend(pid, 20000) FROM pg_locks WHERE locktype = 'advisory'")
        successor = SqlStore(url)
        await successor.open()
        assert waits == [(LEASE_S, "2")]
        await store.close()
        await successor.close()

    async def test_a_batch_whose_server_sleeps_does_not_keep_a_successor_out(
        self, store: SqlStore, url: str, psql: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(postgres_session.SESSION_SETTINGS, "idle_in_transaction_session_timeout", "500")
        await store.open()
        await store._backend._writer.execute("BEGIN; UPDATE ownership SET last_lsn = 1")  # type: ignore[attr-defined]
        psql("SELECT pg_terminate_backend(pid, 20000) FROM pg_locks WHERE locktype = 'advisory'")
        successor = SqlStore(url)
        assert astuple(await asyncio.wait_for(successor.open(), 20))[:3] == (2, 0, 0)
        await store.close()
        await successor.close()

    async def test_a_takeover_waits_for_the_batch_that_passed_the_fence_before_it(
        self, store: SqlStore, url: str, psql: Callable[[str], str], scribe: Scribe
    ) -> None:
        """Either the successor finds the batch, or the batch finds the successor."""
        await store.open()
        await store.write([scribe.receive()])
        psql("SELECT pg_terminate_backend(pid, 20000) FROM pg_locks WHERE locktype = 'advisory'")
        blocker = await asyncpg.connect(url)
        late = blocker.transaction()
        await late.start()
        await blocker.execute("UPDATE ownership SET last_lsn = last_lsn + 1 WHERE epoch = 1")
        successor = SqlStore(url)
        opening = asyncio.create_task(successor.open())
        await until_one_is_blocked(url)
        assert not opening.done()
        await late.commit()
        ownership = await opening
        assert (ownership.epoch, ownership.last_lsn) == (2, 2)
        await blocker.close()
        await successor.close()
        await store.close()

    async def test_a_batch_that_waited_for_a_takeover_writes_nothing(
        self, store: SqlStore, url: str, scribe: Scribe
    ) -> None:
        await store.open()
        await store.write([scribe.receive()])
        before = await contents(store)
        usurper = await asyncpg.connect(url)
        takeover = usurper.transaction()
        await takeover.start()
        await usurper.execute("UPDATE ownership SET epoch = epoch + 1")
        writing = asyncio.create_task(store.write([scribe.reserve()]))
        await until_one_is_blocked(url)
        await takeover.commit()
        with pytest.raises(OwnershipLost):
            await writing
        assert await contents(store) == before
        await usurper.close()
        await store.close()


async def always(look: Callable[[], Awaitable[None]]) -> None:
    while True:
        await look()


async def until_one_is_blocked(url: str) -> None:
    """Ask until a session waits for a lock: Postgres itself says when the race is set up."""
    connection = await asyncpg.connect(url)
    sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    while await connection.fetchval(sql) != 1:
        pass
    await connection.close()


@pytest.mark.anyio
class TestFailures:
    async def test_a_server_that_is_not_there(self, tmp_path: Path) -> None:
        store = SqlStore(f"postgresql://someone:secret@/stock?host={tmp_path}")
        with pytest.raises(StorageError, match="cannot open the database postgresql://someone") as error:
            await store.open()
        assert "secret" not in str(error.value)
        assert "\n" not in str(error.value)
        await store.close()

    async def test_a_connection_that_breaks_is_an_error_and_the_next_open_connects_afresh(
        self, store: SqlStore, psql: Callable[[str], str], scribe: Scribe
    ) -> None:
        await store.open()
        await store.write([scribe.receive()])
        psql(
            "SELECT pg_terminate_backend(pid, 20000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        batch = [scribe.reserve()]
        with pytest.raises(StorageError, match="cannot write to the database"):
            await store.write(batch)
        with pytest.raises(StorageError, match="cannot read the database"):
            await store.next_expiry_ms()
        assert (await store.open()).last_lsn == 1
        await store.write(batch)
        await store.close()

    async def test_a_database_that_was_made_anew_meanwhile_is_not_served(
        self, store: SqlStore, psql: Callable[[str], str], scribe: Scribe
    ) -> None:
        await store.open()
        await store.write([scribe.receive()])
        psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        with pytest.raises(StorageError):
            await store.check_ownership()
        with pytest.raises(DatabaseGone, match="was replaced while the server ran: it ends at LSN 0, and LSN 1 was"):
            await store.open()
        await store.close()

    async def test_a_dump_that_was_restored_meanwhile_is_not_served(
        self, store: SqlStore, psql: Callable[[str], str], scribe: Scribe
    ) -> None:
        await store.open()
        await store.write([scribe.receive(), scribe.receive()])
        psql("UPDATE ownership SET last_lsn = 1, epoch = 5")
        with pytest.raises(OwnershipLost):
            await store.check_ownership()
        with pytest.raises(DatabaseGone, match="it ends at LSN 1, and LSN 2 was acknowledged"):
            await store.open()
        await store.close()

    async def test_a_row_that_breaks_a_check_takes_its_batch_with_it(self, store: SqlStore, scribe: Scribe) -> None:
        await store.open()
        bad = scribe.receive()
        change = bad.changes[0]
        bad = replace(bad, changes=(replace(change, after=replace(change.after, min_stock=-1)),))
        with pytest.raises(StorageError, match="stock_bounds_are_never_negative"):
            await store.write([bad])
        assert (await contents(store))["warehouses"] == []
        await store.close()

    async def test_a_row_changed_by_hand_stops_the_next_batch(
        self, store: SqlStore, psql: Callable[[str], str], scribe: Scribe
    ) -> None:
        await store.open()
        await store.write([scribe.receive()])
        psql("UPDATE stock SET available = 99, total = 99, version = version + 1")
        with pytest.raises(StorageError, match="1 of 1 stock rows are not as the service knows them"):
            await store.write([scribe.reserve()])
        await store.close()

    async def test_an_import_of_several_statements_is_still_all_or_nothing(
        self, store: SqlStore, psql: Callable[[str], str], scribe: Scribe
    ) -> None:
        await store.open()
        counted = [(f"v{n:05}", "w", 5) for n in range(12_000)]
        await store.write([scribe.counted(counted)])
        assert "12000" in psql("SELECT count(*) FROM stock WHERE version = 1")
        psql("UPDATE stock SET version = 9 WHERE variant_id = 'v11999'")
        with pytest.raises(StorageError, match="1 of 2000 stock rows are not as the service knows them"):
            await store.write([scribe.counted([(variant, "w", 6) for variant, _, _ in counted])])
        assert "11999" in psql("SELECT count(*) FROM stock WHERE version = 1")
        assert (await store.open()).last_lsn == 1
        await store.close()

    async def test_a_newer_schema(self, store: SqlStore, psql: Callable[[str], str]) -> None:
        await store.open()
        await store.close()
        psql("UPDATE stockkeeper_schema_version SET version_num = '9999'")
        with pytest.raises(SchemaTooNew, match="has the schema 9999"):
            await store.open()
        assert "1" in psql("SELECT epoch FROM ownership")

    async def test_a_reader_cancelled_natively_breaks_nothing(self, store: SqlStore, scribe: Scribe) -> None:
        await store.open()
        await store.write(scribe.reserve_after_receiving())
        for _ in range(3 * postgres.READERS_MAX):
            reading = asyncio.create_task(store.next_expiry_ms())
            await asyncio.sleep(0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
        assert await store.next_expiry_ms() == scribe.only_reservation().expires_at_ms
        await store.close()


@pytest.mark.anyio
class TestSchema:
    async def test_it_is_as_the_migrations_make_it(self, store: SqlStore, psql: Callable[[str], str]) -> None:
        def upgrade(connection: Connection) -> None:
            connection.execute(text("CREATE SCHEMA migrated"))
            connection.execute(text("SET LOCAL search_path TO migrated"))
            migrate(connection)
            connection.execute(text("SET LOCAL search_path TO public"))  # where the fence is

        await store.open()
        await store._backend.change(1, upgrade)
        await store.close()
        made, migrated = (psql(described(schema)) for schema in ("public", "migrated"))
        psql("DROP SCHEMA migrated CASCADE")
        assert (made, made.count("\n") > 200) == (migrated, True)

    async def test_acknowledged_is_synchronous_even_where_the_default_is_not(
        self, store: SqlStore, psql: Callable[[str], str]
    ) -> None:
        psql("ALTER ROLE postgres SET synchronous_commit = off")
        await store.open()
        assert await store._backend._writer.fetchval("SHOW synchronous_commit") == "on"  # type: ignore[attr-defined]
        await store.close()
        psql("ALTER ROLE postgres RESET synchronous_commit")

    async def test_a_batch_follows_its_keys_where_postgres_has_no_figures_yet(self, store: SqlStore) -> None:
        async def plan() -> str:
            await writer.execute("DISCARD PLANS")
            return "\n".join(row[0] for row in await writer.fetch(f"EXPLAIN EXECUTE batch ({parameters})"))

        await store.open()
        writer = store._backend._writer  # type: ignore[attr-defined]
        await writer.execute("SET plan_cache_mode = force_generic_plan")
        await writer.execute(f"PREPARE batch AS {compose(('stock_changed', 'reservation_moved'))}")
        columns = sum(len(PART_COLUMNS[part].split()) for part in ("stock_changed", "reservation_moved"))
        parameters = ", ".join(["NULL"] * (FENCE_PARAMETERS + columns))
        assert not re.search("Seq Scan on (stock|reservation)", await plan())
        await writer.execute(FILL_STOCK)
        await writer.execute(FILL_RESERVATIONS)
        assert re.search(r"Index Scan using stock_(key|by_warehouse) on stock", await plan())
        assert "Index Scan using reservation_key on reservation" in await plan()
        await store.close()

    async def test_an_index_that_was_dropped_is_made_anew_and_a_table_ends_the_start(self, store: SqlStore) -> None:
        await store.open()
        writer = store._backend._writer  # type: ignore[attr-defined]
        await writer.execute("DROP INDEX reservation_by_order")
        await store.close()
        await store.open()
        writer = store._backend._writer  # type: ignore[attr-defined]
        assert await writer.fetchval("SELECT count(*) FROM pg_indexes WHERE indexname = 'reservation_by_order'") == 1
        await writer.execute("DROP TABLE request")
        await store.close()
        with pytest.raises(DatabaseGone, match="the database has lost the table request"):
            await store.open()
        await store.close()

    async def test_reads_follow_their_keys_where_postgres_has_no_figures_yet(self, store: SqlStore) -> None:
        def explained(connection: Connection) -> str:
            def explain(_conn: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
                cursor.execute(f"EXPLAIN {statement}", parameters)
                lines.extend(row[0] for row in cursor.fetchall())

            lines: list[str] = []
            event.listen(connection, "before_cursor_execute", explain)
            variant_reads.load_variants(connection, [VariantKey("o", "1")])
            order_reads.load_orders(connection, [OrderKey("o", "1")])
            event.remove(connection, "before_cursor_execute", explain)
            return "\n".join(lines)

        await store.open()
        writer = store._backend._writer  # type: ignore[attr-defined]
        await writer.execute(FILL_STOCK)
        await writer.execute(FILL_RESERVATIONS)
        plan = await store._backend.read(explained)
        assert "Index Scan using stock_key on stock" in plan
        assert "Index Scan using reservation_by_order on reservation" in plan
        assert "Index Scan using reservation_item_key on reservation_item" in plan
        await store.close()


FILL_STOCK = """
    INSERT INTO stock SELECT 'o', n::text, 'w', n::text, 0, 0, 0, 0, 0, 0, 0, 1 FROM generate_series(1, 20000) AS n"""
FILL_RESERVATIONS = """
    INSERT INTO reservation SELECT 'o', n::text, n::text, 'active', now(), now(), NULL, NULL, '', n
    FROM generate_series(1, 20000) AS n"""


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://u:secret@h:5433/d", "postgresql://u:***@h:5433/d"),
        ("postgres://u@h/d?sslmode=require", "postgresql://u@h/d?sslmode=require"),
        ("postgresql+asyncpg://h/d", "postgresql://h/d"),
    ],
)
def test_a_url_is_read_as_other_programs_read_it(given: str, shown: str) -> None:
    assert backend_for(given).name == shown
