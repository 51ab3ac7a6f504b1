"""`stockkeeper top` before a real server: what its tables say, by textual's own pilot."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from stockkeeper_client import Item
from stockkeeper_client.v1.inventory_pb2 import ReservedItem
from stockkeeper_client.v1.operations_pb2 import GetActivityRequest, GetActivityResponse, WrittenBatch
from stockkeeper_client.v1.operations_pb2_grpc import OperationsServiceStub
from stockkeeper_client.v1.stock_pb2 import (
    ChangedReservation,
    ChangedRow,
    GoodsLine,
    Quantities,
    Reservation,
    WatchChangesResponse,
)
from textual.pilot import Pilot
from textual.widgets import DataTable, Static

from stockkeeper.command_line import running_out, top_command, top_screen
from stockkeeper.command_line.row_heat import HotRow, RowHeat
from stockkeeper.command_line.running_out import RunningOut, RunningOutStatistics
from stockkeeper.command_line.top_screen import TopScreen, journal_rows, left
from stockkeeper.config import ConfigurationError
from tests.system.servers import run_cli, running_server

pytestmark = pytest.mark.anyio


def rows_of(screen: TopScreen, name: str) -> list[list[str]]:
    table: DataTable[str] = screen.query_one(f"#{name}", DataTable)
    return [table.get_row_at(place) for place in range(table.row_count)]


async def until_shown(pilot: Pilot[None], screen: TopScreen, name: str, cell: str) -> list[list[str]]:
    """The rows of a table when one of them has the cell."""
    while not any(cell in row for row in rows_of(screen, name)):
        await screen.look()
        await pilot.pause(0.05)
    return rows_of(screen, name)


async def test_it_shows_what_happens_and_goes_on_when_the_server_does_not(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        target = f"localhost:{server.port}"
        await client.stock.receive_stock("shop", [{"variant_id": "mug", "warehouse_id": "w1", "quantity": 9}])
        level = {"variant_id": "mug", "warehouse_id": "w1", "min_stock": 8}
        await client.stock.set_stock_levels("shop", [level])  # type: ignore[list-item]
        screen = TopScreen(client, "shop")
        async with TopScreen(client, "shop").run_test() as early:
            leaving = early.app
        assert isinstance(leaving, TopScreen)
        await leaving.look()  # as when the answer comes after the user has left
        async with screen.run_test(size=(120, 48)) as pilot:
            await until_shown(pilot, screen, "journal", "Batches")
            said = str(screen.query_one("#said", Static).render())
            assert said.endswith("UTC  shop")
            await run_cli("reserve", "shop", "order-1", "mug:2", "--target", target)
            await run_cli("reserve", "shop", "order-2", "mug:99", "--target", target)
            await run_cli("reserve", "other", "order-3", "cap:1", "--target", target)
            assert (await until_shown(pilot, screen, "hot", "mug"))[0] == ["mug", "w1", "1", "7", "2"]
            refused = await until_shown(pilot, screen, "refusals", "STOCK_NOT_FOUND")
            assert sorted(refused) == [["INSUFFICIENT_STOCK", "1"], ["STOCK_NOT_FOUND", "1"]]
            assert await until_shown(pilot, screen, "low", "mug") == [["mug", "w1", "7", "8"]]
            [ending] = await until_shown(pilot, screen, "ending", "order-1")
            assert ending[:3] == ["14 min", "order-1", "2"]
            await server.terminate()
            await screen.look()
            assert "UTC" not in str(screen.query_one("#said", Static).render())
            await pilot.press("q")
        assert screen.return_code == 0


async def test_the_server_tells_what_its_journal_does(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        operations = OperationsServiceStub(client.channel)
        before = await operations.GetActivity(GetActivityRequest())
        assert (before.batches, list(before.recent), list(before.refusals)) == (0, [], [])
        await client.stock.receive_stock("shop", [{"variant_id": "mug", "warehouse_id": "w1", "quantity": 9}])
        after = await operations.GetActivity(GetActivityRequest())
        assert (after.batches, after.transactions, after.last_lsn, after.durable_lsn) == (1, 1, 1, 1)
        assert after.recent[0].transactions == 1
        assert after.recent[0].commit_us > 0


def test_the_hottest_rows_are_those_of_the_last_minute() -> None:
    def change(variant: str, available: int) -> WatchChangesResponse:
        row = ChangedRow(variant_id=variant, warehouse_id="w", after=Quantities(available=available, reserved=1))
        return WatchChangesResponse(rows=[row])

    heat = RowHeat()
    for at_s, variant, available in ((0.0, "a", 5), (30.0, "b", 9), (31.0, "a", 4), (32.0, "b", 8), (33.0, "b", 7)):
        heat.hear(change(variant, available), at_s)
    assert heat.hottest(9, 40.0) == [HotRow("b", "w", 3, 7, 1), HotRow("a", "w", 2, 4, 1)]
    assert heat.hottest(1, 40.0) == [HotRow("b", "w", 3, 7, 1)]
    assert heat.hottest(9, 60.0)[1] == HotRow("a", "w", 1, 4, 1)
    assert heat.hottest(9, 99.0) == []
    assert repr(heat) == "<RowHeat changes=0 rows=0>"


async def test_what_runs_out_first_is_shown_whenever_it_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first made runs out second, and one in the middle first; a page of the list has two."""
    monkeypatch.setattr(top_screen, "LOOKED_AT_MAX", 2)
    monkeypatch.setattr(top_screen, "PERIODS_A_LIST", 1)
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        await client.stock.receive_stock("shop", [{"variant_id": "mug", "warehouse_id": "w1", "quantity": 99}])

        async def reserved(order: str, minutes: int) -> str:
            item: Item = {"variant_id": "mug", "quantity": 1}
            return (await client.reserve_stock("shop", order, [item], ttl_minutes=minutes)).reservation_id

        minutes = {"a": 20, "b": 60, "c": 10, "d": 60, "e": 60, "f": 60, "g": 60}
        made = {order: await reserved(order, of_it) for order, of_it in minutes.items()}
        screen = TopScreen(client, "shop")
        async with screen.run_test(size=(120, 48)) as pilot:
            shown = await until_shown(pilot, screen, "ending", "a")  # the list, newest first, ends with it
            assert [row[:3] for row in shown[:2]] == [["9 min", "c", "1"], ["19 min", "a", "1"]]
            await client.release_reservation("shop", made["c"], "changed their mind")
            await reserved("late", 1)
            await client.stock.extend_reservation("shop", made["a"], 600)
            await until_shown(pilot, screen, "ending", "late")
            while (shown := rows_of(screen, "ending"))[-1][1] != "a":
                await screen.look()
                await pilot.pause(0.05)
        assert shown[0][1:3] == ["late", "1"]
        assert shown[-1][1:3] == ["a", "1"]
        assert "c" not in [row[1] for row in shown]


def test_what_was_heard_is_newer_than_what_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    def heard(name: str, state: str, expires_at: str = "", pieces: int = 0) -> WatchChangesResponse:
        items = [GoodsLine(variant_id="mug", quantity=pieces)] if pieces else []
        one = ChangedReservation(reservation_id=name, state=state, expires_at=expires_at, items=items)
        return WatchChangesResponse(reservation=one)

    def listed(name: str, expires_at: str) -> Reservation:
        return Reservation(reservation_id=name, expires_at=expires_at, items=[ReservedItem(quantity=4)])

    monkeypatch.setattr(running_out, "KEPT_MAX", 3)
    known = RunningOut()
    known.hear(WatchChangesResponse())
    for message in (heard("over", "released"), heard("longer", "active", "9"), heard("again", "expired")):
        known.hear(message)
    known.hear(heard("again", "active", "5", 2))
    for name in ("over", "longer", "again", "other"):
        known.note(listed(name, "1"))
    assert [(one.reservation_id, one.expires_at, one.pieces) for one in known.soonest(9)] == [
        *(("other", "1", 4), ("again", "5", 2), ("longer", "9", 4)),
    ]
    assert (repr(known), known.is_full) == ("<RunningOut reservations=3 whole=False>", False)
    known.listed()
    known.hear(heard("fourth", "active", "0"))
    assert (known.statistics(), known.is_full) == (RunningOutStatistics(3, True), True)
    known.hear(heard("other", "confirmed"))
    assert [one.reservation_id for one in known.soonest(1)] == ["again"]


def test_what_the_journals_table_says() -> None:
    batches = [WrittenBatch(transactions=n, commit_us=1_000 * n) for n in (3, 1, 2)]
    told = GetActivityResponse(last_lsn=9, durable_lsn=7, batches=1_234, transactions=5_000, recent=batches)
    assert dict(journal_rows(told)) == {
        "Transactions": "5,000",
        "Batches": "1,234",
        "Not durable yet": "2",
        "Answers that wait": "0",
        "Transactions a batch, median of the last 3": "2",
        "Commit, median of the last 3": "2.0 ms",
        "Commit, longest of the last 3": "3.0 ms",
    }
    assert len(journal_rows(GetActivityResponse())) == 4


def test_how_long_is_left() -> None:
    now = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
    for until, text in (("12:00:05", "5 s"), ("12:01:59", "119 s"), ("12:04:59", "4 min"), ("11:59:00", "0 s")):
        assert left(f"2026-01-31T{until}.000Z", now) == text


async def test_without_a_terminal_or_without_textual_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    status, _, err = await run_cli("top", "shop")
    assert (status, err) == (2, "`stockkeeper top` draws on a terminal; in a pipe, use `stockkeeper watch --json`.\n")
    monkeypatch.setitem(sys.modules, "textual.app", None)
    monkeypatch.delitem(sys.modules, "stockkeeper.command_line.top_screen")
    with pytest.raises(ConfigurationError, match=r"needs textual: pip install 'stockkeeper\[top\]'"):
        top_command.top("shop")
