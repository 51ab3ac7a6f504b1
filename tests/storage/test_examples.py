"""The examples in the docstrings of the storage and of the journal are true, and each of their functions has one."""

import doctest
import importlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from actors.commands import CountedLine, Import, Line, Reserve
from storage import store as store_module
from storage.memory_store import Disk, MemoryStore
from storage.sql.sql_store import SqlStore
from storage.store import Store
from supervisor.clock import ServiceClock
from supervisor.incarnation import Sources
from supervisor.limits import Limits
from supervisor.supervisor import Supervisor
from supervisor.transactions import journal as journal_module
from supervisor.transactions.journal import Journal
from tests.docstrings import public_functions_of, run_examples

MODULES = ["storage.sql.sql_store", "storage.sql.database_url", "storage.sql.instant_text"]
STORE = sorted({name for kind in Store.__mro__ if kind is not object for name in public_functions_of(kind)})
JOURNAL = sorted(public_functions_of(Journal))


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted > 0
    assert found.failed == 0


@asynccontextmanager
async def a_core(store: Store) -> AsyncIterator[Supervisor]:
    ids = iter(range(100))
    sources = Sources(ServiceClock(lambda: 0, anyio.current_time), lambda: f"id-{next(ids)}", lambda *_: None)
    core = Supervisor(store, sources, Limits())
    async with anyio.create_task_group() as tasks:
        await tasks.start(core.run)
        yield core
        core.stop()


async def fill(store: Store) -> None:
    """What the examples of the port say that is there."""
    async with a_core(store) as core:
        await core.ask(Import((CountedLine("shop", "mug", "madrid", "Madrid", 10, 0, 0, 0, 0, 1),), "delivery-1"))
        await core.ask(Reserve("shop", "order-1", (Line("mug", "madrid", 2),), 15, "key-1"))


def names_of(module: Any) -> dict[str, Any]:
    return dict(vars(module))


def home_of(method: str) -> type:
    """The part of the port that a method of it is written in."""
    return next((kind for kind in Store.__mro__ if method in vars(kind)), Store)


@pytest.mark.anyio
@pytest.mark.long_turns("an inline store makes all of its tables in one turn")
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("method", ["", *STORE])
async def test_the_examples_of_the_port_are_true_of_a_store(kind: str, method: str, tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/stock.db"
    store: Store = MemoryStore(Disk()) if kind == "memory" else SqlStore(url, inline=True)
    await fill(store)
    await store.open()
    try:
        names = {**names_of(store_module), **names_of(sys.modules[home_of(method).__module__]), "store": store}
        await run_examples(getattr(Store, method) if method else Store, **names)
    finally:
        await store.close()


@pytest.mark.anyio
@pytest.mark.parametrize("method", ["", *JOURNAL])
async def test_the_examples_of_the_journal_are_true(method: str) -> None:
    store = MemoryStore(Disk())
    async with anyio.create_task_group() as tasks:
        journal = Journal(store, await store.open(), lambda transactions: None)
        if method not in ("run", "fail_answers"):
            tasks.start_soon(journal.run)
        documented = getattr(Journal, method) if method else Journal
        await run_examples(documented, **names_of(journal_module), journal=journal, tasks=tasks)
        tasks.cancel_scope.cancel()
