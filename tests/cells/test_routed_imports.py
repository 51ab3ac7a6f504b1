"""Imports through a router: what several cells are given, what each of them does, and what is said of it."""

from collections.abc import Callable
from typing import Any

import pytest

from actors.cell_records import CellImported
from actors.commands import CountedLine, Import
from actors.outcomes import Fact, ImportRejected, Refused, RequestIdReused, StockImported
from actors.reply import Reply
from actors.staged_rows import LinesStaged, Repeat
from actors.staged_upload import Upload
from actors.unavailable import Unavailable, cell_away, database_down
from cells.import_parts import CellOutcome, merged
from supervisor.supervisor import Supervisor
from tests.cells.test_router import Fleet, a_fleet, a_map, import_, lines, refusal

pytestmark = pytest.mark.anyio

THREE = a_map(1, "a", "b", organizations='x = "a"\ny = "b"\nz = "a"')
A, B = CellImported("a", 2, 2, 0, 0), CellImported("b", 1, 1, 0, 0)


def stock(fleet: Fleet, cell: str) -> dict[tuple[str, str], int]:
    rows = fleet.worlds[cell].disk.stock.values()
    return {(row.organization_id, row.variant_id): row.total for row in rows}


def bad(number: int, organization_id: str) -> CountedLine:
    """The row will be told that it has less than is damaged."""
    return CountedLine(organization_id, "bad", "w", "", None, 3, 0, 0, 0, number)


async def test_each_cell_gets_the_lines_of_its_organizations_and_the_answer_says_so() -> None:
    async with a_fleet(THREE, "a", "b") as fleet:
        router = fleet.router()
        assert (await import_(router, "x", "z")).cells == ()  # one has done it
        fact = await router.ask(Import(lines("x", "y", "z", "new"), "r1"))
        assert isinstance(fact, StockImported)
        home = fleet.map.cell_of("new").name
        parts = {one.cell: one.lines for one in fact.cells}
        assert parts == {"a": 2 + (home == "a"), "b": 1 + (home == "b")}
        assert (fact.lines, fact.rows_created, len(fact.new_organizations)) == (4, 3, 2)
        assert set(stock(fleet, "b")) >= {("y", "v2")}
        assert not {organization for organization, _ in stock(fleet, "a")} & {"y"}
        assert await router.ask(Import(lines("x", "y", "z", "new"), "r1")) == fact  # the same again changes nothing
        other = Import(lines("x", "y", "z", "new", count=2), "r1")
        assert await refusal(router.ask(other)) == RequestIdReused("r1")


async def test_a_cell_that_refuses_its_lines_leaves_the_others_theirs() -> None:
    async with a_fleet(THREE, "a", "b") as fleet:
        router = fleet.router()
        command = Import((*lines("x"), bad(2, "y"), CountedLine("y", "good", "w", "", 2, 0, 0, 0, 0, 3)), "r1")
        rejected = await refusal(router.ask(command))
        assert isinstance(rejected, ImportRejected)
        assert ([one.line_number for one in rejected.errors], rejected.errors_total) == ([2], 1)
        assert rejected.imported_cells == ("a",)
        assert stock(fleet, "a") == {("x", "v1"): 9}
        assert stock(fleet, "b") == {}  # all or none
        assert await refusal(router.ask(command)) == rejected
        mended = Import((*lines("x"), CountedLine("y", "good", "w", "", 2, 0, 0, 0, 0, 3)), "r2")
        fact = await router.ask(mended)
        assert isinstance(fact, StockImported)
        assert (fact.rows_created, fact.rows_unchanged) == (1, 1)


async def test_what_a_cell_has_done_is_done_once_while_another_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_fleet(THREE, "a", "b") as fleet:
        router = fleet.router()
        more = (CountedLine(one, "more", "w", "", 5, 0, 0, 0, 0, n) for n, one in enumerate("xy", 1))
        command = Import(tuple(more), "r")
        with monkeypatch.context() as patch:
            patch.setattr(router._imports, "_wait_s", 0.1)
            fleet.away = {"b"}
            with pytest.raises(Unavailable):  # it is not known where `y` is: none is asked yet
                await router.ask(command)
            assert stock(fleet, "a") == {}
            fleet.away = set()

            async def ask(command: Any) -> Fact:
                raise cell_away()

            patch.setattr(fleet.cores["b"], "ask", ask)
            with pytest.raises(Unavailable) as away:
                await router.ask(command)
        said = "Cell b cannot import its lines now, a has: import again under the same request id."
        assert (away.value.reason, away.value.message) == ("CELL_AWAY", said)
        assert stock(fleet, "a") == {("x", "more"): 5}
        await router.ask(Import((CountedLine("x", "more", "w", "", 7, 0, 0, 0, 0, 1),), "later"))
        fact = await router.ask(command)
        assert isinstance(fact, StockImported)
        assert fact.cells == (CellImported("a", 1, 1, 0, 0), CellImported("b", 1, 1, 0, 0))  # as it was then
        assert stock(fleet, "a") == {("x", "more"): 7}


async def test_a_large_import_goes_in_parts_to_the_cells_of_its_organizations() -> None:
    async with a_fleet(THREE, "a", "b") as fleet:
        router = fleet.router()
        upload = Upload("u1")
        more = [CountedLine(one, "more", "w", "", 2, 0, 0, 0, 0, 6 + n) for n, one in enumerate("yx")]
        for part in (lines("y", "x", count=3)[1:], more):
            assert await router.submit(upload.part(part)).wait() == LinesStaged()
        fact = await router.ask(upload.whole("r1"))
        assert isinstance(fact, StockImported)
        assert [one.cell for one in fact.cells] == ["a", "b"]
        assert (stock(fleet, "a")["x", "more"], stock(fleet, "b")["y", "more"]) == (2, 2)
        await router.submit(upload.dropped()).wait()
        assert router.statistics().uploads == 0
        await router.submit(upload.dropped()).wait()


async def test_lines_of_a_large_import_that_broke_off_are_forgotten_in_every_cell() -> None:
    async with a_fleet(THREE, "a", "b") as fleet:
        router, upload = fleet.router(), Upload("u1")
        twice = (*lines("y", "x"), *lines("y", "x")[::-1])
        assert await router.submit(upload.part(twice)).wait() == LinesStaged((Repeat(1, 1), Repeat(2, 2)))
        asked: list[tuple[str, Any]] = []
        for name, core in fleet.cores.items():
            _note(core, name, asked)
        await router.submit(upload.dropped()).wait()
        assert sorted(asked) == [("a", upload.dropped()), ("b", upload.dropped())]


def _note(core: Supervisor, name: str, asked: list[tuple[str, Any]]) -> None:
    submit: Callable[[Any], Reply[Fact]] = core.submit

    def noted(command: Any) -> Reply[Fact]:
        asked.append((name, command))
        return submit(command)

    core.submit = noted  # type: ignore[method-assign]


def test_what_could_not_be_decided_goes_before_what_was_refused() -> None:
    """With the same request id the caller hears all that is bad once every cell can say so."""
    done = CellOutcome("a", StockImported(2, 2, 0, 0, ("x",)))
    rejected = CellOutcome("b", Refused(ImportRejected((), 3)))
    for error in (cell_away(), database_down(), Refused(RequestIdReused("r"))):
        with pytest.raises(type(error)) as told:
            merged([done, rejected, CellOutcome("c", error)])
        assert isinstance(told.value, Unavailable) or told.value is error
    with pytest.raises(Refused) as refused:
        merged([done, rejected, CellOutcome("c", Refused(ImportRejected((), 4)))])
    assert refused.value.refusal == ImportRejected((), 7, ("a",))
    assert merged([done, CellOutcome("b", StockImported(1, 1, 0, 0, ("y",)))]) == StockImported(
        *(3, 3, 0, 0), ("x", "y"), (A, B)
    )
    alone = CellOutcome("b", Refused(ImportRejected((), 3)))
    with pytest.raises(Refused) as refused:
        merged([alone])
    assert refused.value is alone.said
