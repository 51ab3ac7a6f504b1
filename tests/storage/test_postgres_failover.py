"""A failover of Postgres that loses the newest epoch: the next takeover counts to the same one, and the fence holds."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy

import pytest

from actors.changes import Point
from actors.history_feed import CursorRecord
from actors.records import Transaction
from storage.sql.sql_store import SqlStore
from storage.store import DatabaseGone, OwnershipLost
from tests.postgres import EmbeddedPostgres, embedded_postgres
from tests.storage.following_postgres import FollowingPostgres, following
from tests.storage.scribe import Scribe
from tests.torture.cut_proxy import CutProxy

pytest.importorskip("asyncpg")
replication_risk = pytest.importorskip("storage.sql.replication_risk")

pytestmark = pytest.mark.anyio

FAILOVER_MS = 5_000  # it takes some time until another primary serves


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def primary() -> Iterator[EmbeddedPostgres]:
    with embedded_postgres() as server:
        yield server


@pytest.fixture
def scribe() -> Scribe:
    return Scribe()


@asynccontextmanager
async def opened(url: str, owner: str) -> AsyncIterator[SqlStore]:
    store = SqlStore(url, owner=owner)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def until_it_has(follower: FollowingPostgres, lsn: int) -> None:
    async with asyncio.timeout(30):
        while follower.value("SELECT last_lsn FROM ownership") != str(lsn):  # noqa: ASYNC110 - it does not tell
            await asyncio.sleep(0.02)


@asynccontextmanager
async def failed_over(primary: EmbeddedPostgres, scribe: Scribe) -> AsyncIterator[tuple[SqlStore, FollowingPostgres]]:
    """An owner whose takeover is lost: its connections lead to the old primary, and new ones to the new primary."""
    primary.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
    proxy = CutProxy(primary.socket)
    await proxy.start()
    async with opened(primary.get_uri(), "the first") as first:
        await first.write([scribe.receive()])
    with following(primary) as follower:
        await until_it_has(follower, 1)
        follower.cut_off()
        async with opened(proxy.url, "the old owner") as old:
            await old.check_ownership()
            follower.promote()
            proxy.upstream = follower.socket
            yield old, follower
    await proxy.stop()


async def test_an_owner_whose_takeover_was_lost_proves_and_writes_nothing_in_the_new_history(
    primary: EmbeddedPostgres, scribe: Scribe, caplog: pytest.LogCaptureFixture
) -> None:
    cursor = CursorRecord("shop-events", fence=1, point=Point(1))
    async with failed_over(primary, scribe) as (old, follower), opened(follower.get_uri(), "the new owner") as new:
        assert old._epoch == new._epoch == 2  # the number says nothing
        await new.write([scribe.receive()])
        looks = await asyncio.gather(*(old.check_ownership() for _ in range(4)), return_exceptions=True)
        lost = [look for look in looks if isinstance(look, OwnershipLost)]
        assert lost, f"no look went to the new primary: {looks}"
        assert str(lost[0]) == (
            "the new owner owns the database since epoch 2; a failover has lost ours of the same number"
        )
        writes = await asyncio.gather(*(old.write_cursor(cursor) for _ in range(4)), return_exceptions=True)
        assert any(isinstance(write, OwnershipLost) for write in writes)
        assert await new.load_cursors() == []
        moves = await asyncio.gather(*(old.move_out(2**41, 100) for _ in range(4)), return_exceptions=True)
        assert any(isinstance(move, OwnershipLost) for move in moves)
        await a_batch_of_the_lost_takeover_writes_nothing(old, new, [scribe.receive()])


async def a_batch_of_the_lost_takeover_writes_nothing(
    old: SqlStore, new: SqlStore, batch: Sequence[Transaction]
) -> None:
    """The old owner's own session cannot get to the new primary, but a pooler's might: so its fence is tried there."""
    lost, ours = (store._backend._generation for store in (old, new))  # type: ignore[attr-defined]
    new._backend._generation = lost  # type: ignore[attr-defined]
    with pytest.raises(OwnershipLost, match="a failover has lost ours of the same number"):
        await new.write(batch)
    new._backend._generation = ours  # type: ignore[attr-defined]
    await new.write(batch)
    await new.check_ownership()


async def test_an_owner_follows_a_failover_that_lost_its_takeover_and_nothing_that_it_acknowledged(
    primary: EmbeddedPostgres, scribe: Scribe, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="storage")
    async with failed_over(primary, scribe) as (old, follower):
        said = [(one.message, one.levelname) for one in caplog.records if one.name == replication_risk.__name__]
        assert said == [("acknowledged_may_be_lost", "INFO")] * 2  # each server, once: none follows then
        taken = await old.open()
        assert (taken.epoch, taken.last_lsn, taken.previous_owner) == (2, 1, "the first")
        await old.write([scribe.receive()])
        assert follower.value("SELECT last_lsn FROM ownership") == "2"


async def test_a_server_warns_at_its_start_where_a_standby_follows_and_no_commit_waits_for_it(
    primary: EmbeddedPostgres, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="storage")
    with following(primary):
        async with asyncio.timeout(30):
            while " 1\n" not in primary.psql("SELECT count(*) FROM pg_stat_replication"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        async with opened(primary.get_uri(), "the owner"):
            [said] = [one for one in caplog.records if one.name == replication_risk.__name__]
    assert (said.message, said.levelname) == ("acknowledged_may_be_lost", "WARNING")
    assert "a failover loses what was acknowledged and had not got there" in said.__dict__["reason"]


async def test_a_server_that_finds_what_it_acknowledged_lost_does_not_go_on(
    primary: EmbeddedPostgres, scribe: Scribe
) -> None:
    async with failed_over(primary, scribe) as (old, _):
        await old.write([scribe.receive()])  # on the old primary, which has no follower any more
        with pytest.raises(DatabaseGone, match="it ends at LSN 1, and LSN 2 was acknowledged"):
            await old.open()


async def test_a_server_whose_tail_is_lost_sees_it_after_another_one_went_past_it(
    primary: EmbeddedPostgres, scribe: Scribe
) -> None:
    async with failed_over(primary, scribe) as (old, follower):
        another = deepcopy(scribe)
        another.at_ms += FAILOVER_MS
        await old.write([scribe.receive()])  # on the old primary, which has no follower any more
        for _ in range(2):  # as far as the lost transaction, and past it
            async with opened(follower.get_uri(), "the new owner") as new:
                await new.write([another.receive()])
            with pytest.raises(DatabaseGone, match="LSN 2 is another transaction there than the one that was ackn"):
                await old.open()


async def test_a_server_follows_another_one_that_went_past_what_it_acknowledged(
    primary: EmbeddedPostgres, scribe: Scribe
) -> None:
    primary.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
    async with opened(primary.get_uri(), "the first") as first:
        await first.write([scribe.receive()])
        await first.close()
        async with opened(primary.get_uri(), "the second") as second:
            await second.write([scribe.receive()])
        assert (await first.open()).last_lsn == 2


@pytest.mark.parametrize(
    ("names", "commit", "followers", "sentence"),
    [
        ("", "on", 0, "on this Postgres alone, and goes with its disk (synchronous_standby_names is empty)"),
        ("", "on", 1, "no commit waits for a standby (synchronous_standby_names is empty): a failover loses"),
        ("*", "local", 1, "no commit waits for a standby (synchronous_commit is local)"),
        ("*", "on", 0, ""),
        ("*", "remote_apply", 2, ""),
    ],
)
def test_what_a_failover_can_lose_is_said(names: str, commit: str, followers: int, sentence: str) -> None:
    found = replication_risk.risk(names, commit, followers)
    assert (sentence in found) if sentence else found == ""
