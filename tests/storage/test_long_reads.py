"""No statement of a search holds the database for long, however large one transaction is, and searches take turns.

What SQLite does is counted in steps of its virtual machine: they are the same on every machine.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint
from msgspec.structs import replace

from actors.changes import Movement, Point
from actors.queries import GetStockAt, ListMovements, ListReservations, ListTransfers, Query
from actors.transfer_records import TransferLine
from storage.sql.searches import Searches
from storage.sql.sql_store import SqlStore
from storage.sql.sqlite import InlineLine, SqliteBackend
from tests.storage.contract_transfers import SENT, entry
from tests.storage.scribe import ORGANIZATION, START_MS, Scribe

pytestmark = pytest.mark.anyio

IMPORTED = 24_000
RESERVATIONS = 40
STEPS_MAX = 140_000  # of 5,000 lines some take 115,000; whatever looks at all lines takes more
ALWAYS_MS = START_MS + 10**9


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class CountedReads(SqliteBackend):
    """Notes how many steps each read takes."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, inline=True)
        self.steps: list[int] = []

    async def read(self, function: Callable[..., Any]) -> Any:
        assert isinstance(self._reader, InlineLine)
        thousands = [0]

        def count() -> int:
            thousands[0] += 1
            return 0

        raw = self._reader._session.raw
        raw.set_progress_handler(count, 1_000)
        try:
            return await super().read(function)
        finally:
            raw.set_progress_handler(None, 0)
            self.steps.append(1_000 * thousands[0])


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A large import, receipts of 1,000 lines with one reference, wide transfers and wide reservations."""
    path = tmp_path_factory.mktemp("long") / "x.db"

    async def fill() -> None:
        store = SqlStore(backend=SqliteBackend(path, inline=True))
        await store.open()
        scribe = Scribe()
        goods = [(f"v{number:05}", "w", 5_000) for number in range(IMPORTED)]
        await store.write([scribe.counted(goods)])
        for count in range(12):
            await store.write([scribe.counted([(variant, "w", count + 1) for variant, _, _ in goods[:1_000]])])
        lines = tuple(TransferLine(f"v{number:05}", 1) for number in range(1_000))
        for number in range(20):
            await store.write([entry(scribe, replace(SENT, transfer_id=f"t{number}", lines=lines))])
        wide = [(variant, "w", 1) for variant, _, _ in goods[2_000:3_000]]
        for number in range(RESERVATIONS):
            await store.write([scribe.reserve(f"o{number}", wide)])
        await store.close()

    anyio.run(fill)
    return path


@pytest.fixture
async def backend(filled: Path) -> CountedReads:
    return CountedReads(filled)


@pytest.fixture
async def store(backend: CountedReads) -> AsyncIterator[SqlStore]:
    store = SqlStore(backend=backend)
    await store.open()
    yield store
    await store.close()


def wishes() -> Iterator[Query[Any]]:
    for newest_first in (False, True):
        for wanted in ({"variant_id": "none"}, {"kinds": ("reserve",)}, {"reference": "none"}, {}):
            yield ListMovements(ORGANIZATION, **wanted, newest_first=newest_first, limit=1_000)
    yield GetStockAt(ORGANIZATION, "none", "w", ALWAYS_MS)
    yield GetStockAt(ORGANIZATION, "none", "w", 1)
    yield ListTransfers(ORGANIZATION, limit=1_000)
    yield ListTransfers(ORGANIZATION, warehouse_id="w1", limit=1_000)
    yield ListReservations(ORGANIZATION, variant_id="none")
    yield ListReservations(ORGANIZATION, limit=1_000)


@pytest.mark.parametrize("query", list(wishes()), ids=lambda query: type(query).__name__)
async def test_no_statement_takes_long(store: SqlStore, backend: CountedReads, query: Query[Any]) -> None:
    asks: dict[type, Callable[[Any], Awaitable[object]]] = {
        ListMovements: store.list_movements,
        GetStockAt: store.stock_at,
        ListTransfers: store.list_transfers,
        ListReservations: store.list_reservations,
    }
    await asks[type(query)](query)
    assert max(backend.steps) < STEPS_MAX


@pytest.mark.parametrize("newest_first", [False, True])
async def test_pages_through_a_large_import_have_each_line_once(store: SqlStore, newest_first: bool) -> None:
    query = ListMovements(ORGANIZATION, newest_first=newest_first, limit=1_000)
    found: list[Movement] = []
    pages = 0
    while True:
        page = await store.list_movements(query)
        found, pages = [*found, *page.movements], pages + 1
        if page.next is None:
            break
        query = replace(query, after_place=page.next)
    places = [(one.lsn, one.position) for one in found]
    assert places == sorted(set(places), reverse=newest_first)
    assert len(places) == IMPORTED + 12 * 1_000 + RESERVATIONS * 1_000
    assert pages < 90


async def test_a_page_that_looked_at_many_lines_says_where_it_ended(store: SqlStore) -> None:
    """Also one that began at a place that the release of before told."""
    query: ListMovements = ListMovements(ORGANIZATION, variant_id=f"v{IMPORTED - 1:05}")
    pages = [await store.list_movements(query)]
    assert pages[0].movements == ()
    while pages[-1].next is not None:
        pages.append(await store.list_movements(replace(query, after_place=pages[-1].next)))
    assert [one.position for page in pages for one in page.movements] == [IMPORTED - 1]
    for place in (Point(1, 0), Point(1, IMPORTED // 2), Point(0)):
        page = await store.list_movements(replace(query, after_place=place))
        assert page.next is not None or page.movements


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("place", [Point(2**80, 2**40), Point(-(2**80), -(2**40)), Point(1, 2**40), Point(1, -1)])
async def test_a_place_that_a_caller_invents_is_one_like_others(
    store: SqlStore, place: Point, newest_first: bool
) -> None:
    page = await store.list_movements(
        ListMovements(ORGANIZATION, newest_first=newest_first, after_place=place, limit=3)
    )
    assert len(page.movements) in (0, 3)


async def test_searches_take_turns_and_leave_the_database_to_others() -> None:
    searches, order = Searches(), list[str]()
    under_way = 0

    async def search(organization: str) -> None:
        nonlocal under_way
        for _ in range(2):
            async with searches.turn(organization):
                under_way += 1
                assert under_way == 1
                await checkpoint()
                order.append(organization)
                under_way -= 1

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(search, "loud")
        group.start_soon(search, "quiet")
        await checkpoint()
        assert searches.statistics() == (51, 2)
    assert [place for place, one in enumerate(order) if one == "quiet"][-1] < 6
    assert searches.statistics() == (0, 0)
