"""The screen of `stockkeeper top`: five tables, drawn anew every second.

What changed is heard from the stream of changes; the rest is asked for. A question that finds no answer stops nothing:
the screen says so and asks again.
"""

from asyncio import sleep
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from itertools import islice
from time import monotonic
from typing import ClassVar

import grpc
from stockkeeper_client import InventoryClient
from stockkeeper_client.v1 import operations_pb2
from stockkeeper_client.v1.operations_pb2_grpc import OperationsServiceStub
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Grid
from textual.css.query import NoMatches
from textual.widgets import DataTable, Footer, Static

from stockkeeper.command_line.row_heat import RowHeat
from stockkeeper.command_line.running_out import KEPT_MAX, RunningOut

PERIOD_S = 1.0
PERIODS_A_LIST = 5  # what is low and what runs out is asked for less often: the server reads its database for it
ROWS_SHOWN = 12
LOOKED_AT_MAX = 1_000  # active reservations, of one page

TABLES: dict[str, tuple[str, Sequence[str]]] = {
    "hot": ("Rows that change most (a minute)", ("Variant", "Warehouse", "Changes", "Available", "Reserved")),
    "low": ("Low stock", ("Variant", "Warehouse", "Available", "Minimum")),
    "ending": ("About to run out", ("In", "Order", "Pieces", "Reservation")),
    "refusals": ("Refused since the start, whole server", ("Reason", "Times")),
    "journal": ("Journal, whole server", ("What", "Figure")),
}


class TopScreen(App[None]):
    """What happens in one organization, and how the server fares.

    Args:
        client: of the server.
        organization_id: whose stock is shown.
    """

    CSS = "Grid { grid-size: 2; } DataTable { height: 1fr; } #said { height: 1; }"
    BINDINGS: ClassVar[list[BindingType]] = [("q", "quit", "Quit"), ("ctrl+c", "quit", "Quit")]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, client: InventoryClient, organization_id: str) -> None:
        self._organization_id = organization_id  # the first words of the base ask for the name of this
        self._looks = 0
        super().__init__()
        self._client = client
        self._operations = OperationsServiceStub(client.channel)
        self._heat = RowHeat()
        self._running_out = RunningOut()

    def __repr__(self) -> str:
        return f"<TopScreen {self._organization_id} looks={self._looks}>"

    def compose(self) -> ComposeResult:
        """The tables, and a line for what goes wrong."""
        with Grid():
            for name, (title, columns) in TABLES.items():
                table: DataTable[str] = DataTable(id=name, cursor_type="none", zebra_stripes=True)
                table.border_title = title
                table.styles.border = ("round", "gray")
                table.add_columns(*columns)
                yield table
        yield Static(id="said")
        yield Footer()

    def on_mount(self) -> None:
        """Listen, and look every second."""
        self.run_worker(self._listen(), exit_on_error=False)
        self.set_interval(PERIOD_S, self.look)
        self.call_later(self.look)

    async def look(self) -> None:
        """Ask for what is shown, and show it."""
        try:
            await self._show_server()
            if self._looks % PERIODS_A_LIST == 0:
                await self._show_low()
                self._show_ending()
            self._looks += 1
        except grpc.aio.AioRpcError as error:
            self._say(f"{datetime.now(UTC):%H:%M:%S} {error.details() or error.code().name}")
            return
        except NoMatches:
            return  # the user has left while the answer was under way
        self._show("hot", [tuple(map(str, row)) for row in self._heat.hottest(ROWS_SHOWN, monotonic())])
        self._say(f"{datetime.now(UTC):%H:%M:%S} UTC  {self._organization_id}")

    async def _listen(self) -> None:
        is_heard = False
        changes = self._client.stock.watch_changes(self._organization_id)
        async with aclosing(changes) as messages:
            async for message in messages:
                if not is_heard:  # from here on nothing that becomes of a reservation is missed
                    is_heard = True
                    self.run_worker(self._list_active(), exit_on_error=False)
                self._heat.hear(message, monotonic())
                self._running_out.hear(message)

    async def _list_active(self) -> None:
        """List all reservations that are active, from the beginning again if the server fails meanwhile."""
        while True:
            try:
                every = self._client.stock.list_reservations(
                    self._organization_id, state="active", page_size=LOOKED_AT_MAX
                )
                async with aclosing(every) as reservations:  # type: ignore[type-var]
                    async for one in reservations:
                        self._running_out.note(one)
                self._running_out.listed()
                return
            except grpc.aio.AioRpcError:
                await sleep(PERIOD_S)

    async def _show_server(self) -> None:
        told: operations_pb2.GetActivityResponse = await self._operations.GetActivity(
            operations_pb2.GetActivityRequest(), timeout=5.0
        )
        self._show("refusals", [(one.reason, f"{one.count:,}") for one in told.refusals[:ROWS_SHOWN]])
        self._show("journal", journal_rows(told))

    async def _show_low(self) -> None:
        found = self._client.stock.list_stock(self._organization_id, alert_level="warning", page_size=ROWS_SHOWN)
        critical = self._client.stock.list_stock(self._organization_id, alert_level="critical", page_size=ROWS_SHOWN)
        rows = []
        for few in (critical, found):
            async with aclosing(few) as stock:  # type: ignore[type-var]
                async for row in stock:
                    figures = (str(row.available_quantity), str(row.min_stock))
                    rows.append((row.variant_id, row.warehouse_id, *figures))
                    if len(rows) >= ROWS_SHOWN:
                        break
        self._show("low", list(islice(dict.fromkeys(rows), ROWS_SHOWN)))

    def _show_ending(self) -> None:
        if self._running_out.is_full:
            self.query_one("#ending").border_title = f"About to run out, of {KEPT_MAX:,} active"
        now = datetime.now(UTC)
        soonest = self._running_out.soonest(ROWS_SHOWN)
        rows = [(left(one.expires_at, now), one.order_id, str(one.pieces), one.reservation_id) for one in soonest]
        self._show("ending", rows)

    def _show(self, name: str, rows: Iterable[Sequence[str]]) -> None:
        table: DataTable[str] = self.query_one(f"#{name}", DataTable)
        table.clear()
        table.add_rows(rows)

    def _say(self, text: str) -> None:
        self.query_one("#said", Static).update(text)


def left(expires_at: str, now: datetime) -> str:
    """How long a reservation has, as `4 min` or `12 s`."""
    seconds = int((datetime.fromisoformat(expires_at) - now).total_seconds())
    return f"{max(seconds, 0)} s" if seconds < 120 else f"{seconds // 60} min"


def journal_rows(told: operations_pb2.GetActivityResponse) -> list[tuple[str, str]]:
    """What the journal's table says."""
    times = sorted(one.commit_us for one in told.recent)
    sizes = sorted(one.transactions for one in told.recent)
    rows = [
        ("Transactions", f"{told.transactions:,}"),
        ("Batches", f"{told.batches:,}"),
        ("Not durable yet", f"{told.last_lsn - told.durable_lsn:,}"),
        ("Answers that wait", f"{told.answers_waiting:,}"),
    ]
    if times:
        last = f"of the last {len(times)}"
        rows += [
            (f"Transactions a batch, median {last}", f"{sizes[len(sizes) // 2]:,}"),
            (f"Commit, median {last}", f"{times[len(times) // 2] / 1_000:.1f} ms"),
            (f"Commit, longest {last}", f"{times[-1] / 1_000:.1f} ms"),
        ]
    return rows
