"""A batch waits for one change of what is no part of the inventory at most, however many there are."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from storage.sql.sql_store import SqlStore
from tests.storage.scribe import Scribe

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # a thread runs what is asked of SQLite


async def test_a_batch_is_written_before_the_changes_that_wait(tmp_path: Path) -> None:
    store, scribe = SqlStore(f"sqlite+aiosqlite:///{tmp_path}/stock.db"), Scribe()
    await store.open()
    has_begun, may_end = threading.Event(), threading.Event()
    batches: list[Any] = []  # how many each change finds

    def first(connection: Connection) -> None:
        has_begun.set()
        assert may_end.wait(10)

    def later(connection: Connection) -> None:
        batches.append(connection.execute(text("SELECT last_lsn FROM ownership")).scalar())

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(store._change(first))
        await asyncio.to_thread(has_begun.wait, 10)
        for _ in range(3):
            tasks.create_task(store._change(later))
        await asyncio.sleep(0)
        batch = scribe.receive("v", "w", 1)
        tasks.create_task(store.write([batch]))
        await asyncio.sleep(0)
        may_end.set()
    await store.close()
    assert batches == [batch.lsn] * 3
