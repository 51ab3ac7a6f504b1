"""A standby waits for an owner that lives, however long, and takes the database from one that gives no sign of life."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from storage.sql.sql_store import SqlStore
from storage.store import OwnershipLost, StorageError
from tests.postgres import PostgresServer, running_postgres
from tests.storage.scribe import Scribe

asyncpg = pytest.importorskip("asyncpg")
postgres_lock = pytest.importorskip("storage.sql.postgres_lock")
postgres_session = pytest.importorskip("storage.sql.postgres_session")
postgres_standby = pytest.importorskip("storage.sql.postgres_standby")

pytestmark = pytest.mark.anyio

PATIENCE_S = 30
Psql = Callable[[str], str]


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def url(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty database, on which all is looked at and said ten times as often."""
    monkeypatch.setattr(postgres_standby, "LOOK_S", 0.05)
    monkeypatch.setattr(postgres_lock, "BEAT_S", 0.02)
    # Only the end of its session frees what a sleeping owner holds.
    monkeypatch.setitem(postgres_session.SESSION_SETTINGS, "idle_in_transaction_session_timeout", "0")
    server.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
    return str(server.get_uri())


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def watched() -> Any:
    return postgres_standby.OwnerWatch()


def word(said: int, pid: int = 1) -> Any:
    return postgres_standby.LastWord(pid, "then", said)


def test_an_owner_is_silent_after_five_looks_in_a_row_that_found_nothing_new() -> None:
    watch = watched()
    assert not watch.is_silent(word(1))  # it may just have said it
    assert [watch.is_silent(word(1)) for _ in range(5)] == [False, False, False, False, True]
    assert [watch.is_silent(word(1)) for _ in range(5)] == [False, False, False, False, True]  # if that was in vain
    assert watch.statistics() == postgres_standby.OwnerWatchStatistics(looks=11, silent_looks=0)


@pytest.mark.parametrize("new", [word(2), word(1, pid=2), None])
def test_the_count_begins_anew_with_another_word_another_session_or_none(
    new: Any,
) -> None:
    watch = watched()
    for _ in range(5):
        watch.is_silent(word(1))
    assert not watch.is_silent(new)
    assert not any(watch.is_silent(word(1)) for _ in range(5))
    assert watch.is_silent(word(1))


def test_what_is_no_server_is_never_silent() -> None:
    watch = watched()
    assert not any(watch.is_silent(None) for _ in range(20))


class Waiting:
    """A store that stands by, in a task of its own."""

    def __init__(self, url: str) -> None:
        self.store = SqlStore(url, owner="a standby")
        self.owners: list[str] = []
        self.task = asyncio.create_task(self.store.stand_by(self.owners.append))

    async def until_it_waits(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not self.owners and not self.task.done():  # noqa: ASYNC110 - the database tells it
                await asyncio.sleep(0.01)
        if self.task.done():
            self.task.result()

    async def has_turn(self) -> None:
        await asyncio.wait_for(self.task, PATIENCE_S)


@asynccontextmanager
async def standby(url: str, *, waits: bool = True) -> AsyncIterator[Waiting]:
    waiting = Waiting(url)
    try:
        if waits:
            await waiting.until_it_waits()
        yield waiting
    finally:
        waiting.task.cancel()
        await asyncio.gather(waiting.task, return_exceptions=True)
        await waiting.store.close()


@asynccontextmanager
async def owner(url: str) -> AsyncIterator[SqlStore]:
    store = SqlStore(url, owner="the owner")
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def fall_silent(store: SqlStore) -> None:
    """What Postgres sees of a process that is stopped: its connections stay, and say nothing."""
    await store._backend._signs.stop()  # type: ignore[attr-defined]


async def looks(psql_url: str, number: int) -> None:
    """Wait while a standby looks so often, and longer."""
    connection = await asyncpg.connect(psql_url)
    for _ in range(number):
        await connection.fetchval("SELECT 1")
        await asyncio.sleep(postgres_standby.LOOK_S)
    await connection.close()


async def test_a_free_database_is_not_waited_for(url: str) -> None:
    async with standby(url, waits=False) as waiting:
        await waiting.has_turn()
        assert waiting.owners == []
        assert (await waiting.store.open()).epoch == 1


async def test_an_owner_that_lives_keeps_its_database_and_one_that_ends_hands_it_over(url: str, scribe: Scribe) -> None:
    async with owner(url) as store, standby(url) as waiting:
        assert "stockkeeper on this machine, Postgres process " in waiting.owners[0]
        await looks(url, 4 * postgres_standby.LOOKS_MAX)
        assert not waiting.task.done()
        await store.write([scribe.receive()])
        await store.close()
        await waiting.has_turn()
        taken = await waiting.store.open()
        assert (taken.epoch, taken.last_lsn, taken.previous_owner) == (2, 1, "the owner")
        assert len(waiting.owners) == 1


async def test_a_silent_owner_in_the_midst_of_a_batch_loses_the_database_and_the_batch(
    url: str, scribe: Scribe
) -> None:
    async with owner(url) as store, standby(url) as waiting:
        await store.write([scribe.receive()])
        writer = store._backend._writer  # type: ignore[attr-defined]
        await writer.execute("BEGIN; UPDATE ownership SET last_lsn = 2")
        await fall_silent(store)
        await waiting.has_turn()
        taken = await asyncio.wait_for(waiting.store.open(), PATIENCE_S)
        assert (taken.epoch, taken.last_lsn) == (2, 1)
        for batch in ([scribe.reserve()], [scribe.reserve()]):
            with pytest.raises((StorageError, OwnershipLost)):
                await store.write(batch)
        await waiting.store.check_ownership()


async def test_an_owner_that_wakes_in_time_keeps_its_database(url: str) -> None:
    async with owner(url) as store, standby(url) as waiting:
        holder = store._backend._holder  # type: ignore[attr-defined]
        await fall_silent(store)
        sessions = await holder.fetch(postgres_lock.LOCK_SESSIONS, postgres_lock.LOCK_KEY)
        [silent] = [one for one in sessions if one["granted"]]
        await holder.execute(postgres_lock.BEAT)  # between the standby's look and what it does
        await postgres_standby._end_owner(holder, silent)
        assert not holder.is_closed()
        store._backend._give_signs(holder)  # type: ignore[attr-defined]
        await looks(url, 2 * postgres_standby.LOOKS_MAX)
        assert not waiting.task.done()
        await store.check_ownership()


async def test_of_two_standbys_one_takes_over_and_the_other_waits_for_that_one(url: str) -> None:
    async with owner(url) as store, standby(url) as one, standby(url) as other:
        await fall_silent(store)
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.wait([one.task, other.task], return_when=asyncio.FIRST_COMPLETED)
        first, second = (one, other) if one.task.done() else (other, one)
        assert (await first.store.open()).epoch == 2
        await looks(url, 2 * postgres_standby.LOOKS_MAX)
        assert not second.task.done()
        await first.store.check_ownership()
        await fall_silent(first.store)
        await second.has_turn()


async def test_a_standby_that_sleeps_when_its_turn_comes_is_passed_over(url: str) -> None:
    async with owner(url) as store:
        sleeper = await asyncpg.connect(url)
        asleep = asyncio.ensure_future(
            sleeper.execute(f"{postgres_lock.OF_A_SERVER} SELECT pg_advisory_lock({postgres_lock.LOCK_KEY})")
        )
        async with standby(url) as waiting:
            await store.close()
            await asleep  # the lock is its own, and it says nothing more
            await waiting.has_turn()
        sleeper.terminate()


async def test_what_holds_the_lock_and_is_no_server_is_waited_for(url: str) -> None:
    mover = await asyncpg.connect(url)
    await postgres_lock.take_lock(mover, postgres_lock.LOCK_KEY)
    async with standby(url) as waiting:
        await looks(url, 3 * postgres_standby.LOOKS_MAX)
        assert not waiting.task.done()
        await mover.close()
        await waiting.has_turn()


async def test_a_standby_that_stops_leaves_nothing_behind(url: str, server: PostgresServer) -> None:
    async with owner(url) as store:
        async with standby(url) as waiting:
            waiting.task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting.task
        await store.close()
        async with owner(url) as successor:
            await successor.check_ownership()


async def test_a_standby_whose_own_session_is_lost_says_so(url: str, server: PostgresServer) -> None:
    async with owner(url), standby(url) as waiting:
        server.psql("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        with pytest.raises(StorageError, match="the database"):
            await waiting.has_turn()


async def test_a_standby_that_cannot_see_the_owner_says_why(url: str, server: PostgresServer) -> None:
    async with owner(url):
        server.psql("DROP ROLE IF EXISTS other; CREATE ROLE other LOGIN; GRANT ALL ON SCHEMA public TO other")
        of_another = url.replace("postgres:@", "other:@")
        assert of_another != url
        async with standby(of_another, waits=False) as waiting:
            with pytest.raises(
                StorageError, match="known to it as postgres, and a standby of another role may neither"
            ):
                await waiting.has_turn()
        server.psql("ALTER ROLE postgres SET track_activities = off")
        try:
            async with standby(url, waits=False) as waiting:
                with pytest.raises(StorageError, match="track_activities is off"):
                    await waiting.has_turn()
        finally:
            server.psql("ALTER ROLE postgres RESET track_activities")
        server.psql("REVOKE ALL ON SCHEMA public FROM other; DROP ROLE other")


@pytest.fixture
def scribe() -> Scribe:
    return Scribe()
