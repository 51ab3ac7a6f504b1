"""What a router costs, and two cells with two routers beside one server: `python -m bench.routed`.

Durable reservations of two lines, in turns: straight to a cell, through a router to the same cell, and over both
organizations of two cells through two routers, each of which reaches both: with 64 callers as the others, so that each
cell has half the crowd, and with 128, so that each has as many as the one. CPU is that of owners and of
routers apart. The callers share the machine: on few cores the calls a second say how the cores are shared, and the CPU
says what more of them would carry. Medians of the rounds are reported. Writes `bench/results/routed.json`.
"""

import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from stockkeeper_client import InventoryClient, StockLine
from stockkeeper_client.v1 import inventory_pb2 as pb

from bench.generator import Call, drive
from bench.machine import describe
from bench.orders import PIECES, WAREHOUSE, distinct_lines, variant
from bench.processes import Program, cpu_s, python

RESULTS = Path(__file__).parent / "results"
CALLERS, ROWS, RATE_MAX = 64, 10_000, 12_000
ROUNDS, ROUND_S, WARM_UP_S = 5, 4.0, 1.5
CELLS = {"a": "org_1", "b": "org_2"}
ROUTED_MIN, CPU_MAX = 0.8, 1.25

Figures = Mapping[str, float]


class Fleet:
    """Two cells and two routers before them.

    Args:
        folder: for their files.
        stack: ends them.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        tables = "".join(f'[cells.{name}]\naddress = "unix:{folder}/{name}.sock"\n' for name in CELLS)
        homes = "".join(f'{organization} = "{name}"\n' for name, organization in CELLS.items())
        (folder / "cells.toml").write_text(f"version = 1\n{tables}[organizations]\n{homes}")
        a_map = ("--port", "0", "--cells-map", str(folder / "cells.toml"))
        self.cells = [
            Program(
                python(
                    *("stockkeeper", "serve", *a_map, "--cell", name),
                    *("--database-url", f"sqlite+aiosqlite:///{folder}/{name}.db"),
                ),
                folder / f"{name}.log",
            )
            for name in CELLS
        ]
        self.routers = [Program(python("stockkeeper", "route", *a_map), folder / f"router-{n}.log") for n in range(2)]
        for program in (*self.routers, *self.cells):
            stack.callback(program.stop)
        self._orders = count(1)
        self._lines = distinct_lines(ROWS, 2)

    def __repr__(self) -> str:
        return f"<Fleet {self.cells} {self.routers}>"

    async def lay_in(self) -> None:
        """Through a router: each import is of one cell, and large."""
        async with InventoryClient("127.0.0.1", self.routers[0].port, breaker=False) as client:
            for organization in CELLS.values():
                await client.stock.import_stock([_line(organization, row) for row in range(ROWS)])

    def round(self, doors: Sequence[Program], cells: int, callers: int, duration_s: float = ROUND_S) -> Figures:
        """Reservations for a while.

        Args:
            doors: where the callers knock.
            cells: whose organizations they reserve for.
            callers: how many.
        """
        organizations = list(CELLS.values())[:cells]
        numbers = [next(self._orders) for _ in range(int(RATE_MAX * duration_s))]
        calls = [Call("ReserveStock", self._request(organizations[n % cells], n), n) for n in numbers]
        before = self._cpu_s()
        outcome = drive([one.port for one in doors], calls, callers=callers, duration_s=duration_s)
        owners_s, routers_s = (now - then for now, then in zip(self._cpu_s(), before, strict=True))
        assert set(outcome.statuses) == {0}, outcome.statuses
        thousands = outcome.calls / 1_000
        return {
            "reservations_per_s": outcome.calls_per_s,
            "p50_ms": outcome.latency_ms(0.5),
            "p99_ms": outcome.latency_ms(0.99),
            "owners_cpu_s_per_1000": owners_s / thousands,
            "routers_cpu_s_per_1000": routers_s / thousands,
            "client_cpu_s_per_1000": outcome.client_cpu_s / thousands,
        }

    def _request(self, organization_id: str, number: int) -> bytes:
        items = [
            pb.ReservationItem(variant_id=variant_id, warehouse_id=WAREHOUSE, quantity=pieces)
            for variant_id, pieces in self._lines(number)
        ]
        request = pb.ReserveStockRequest(organization_id=organization_id, order_id=f"order-{number}", items=items)
        return request.SerializeToString()

    def _cpu_s(self) -> tuple[float, float]:
        return cpu_s([one.pid for one in self.cells]), cpu_s([one.pid for one in self.routers])


def _line(organization_id: str, row: int) -> StockLine:
    return {
        "organization_id": organization_id,
        "variant_id": variant(row),
        "warehouse_id": WAREHOUSE,
        "total_quantity": PIECES,
    }


def measured(folder: Path) -> dict[str, dict[str, float]]:
    """The medians of each way."""
    with ExitStack() as stack:
        fleet = Fleet(folder, stack)
        asyncio.run(fleet.lay_in())
        ways = {
            "direct": (fleet.cells[:1], 1, CALLERS),
            "router": (fleet.routers[:1], 1, CALLERS),
            "two_cells_two_routers": (fleet.routers, 2, CALLERS),
            "two_cells_two_routers_128": (fleet.routers, 2, 2 * CALLERS),
        }
        rounds: dict[str, list[Figures]] = {name: [] for name in ways}
        for way in ways.values():
            fleet.round(*way, WARM_UP_S)
        for _ in range(ROUNDS):
            for name, way in ways.items():
                rounds[name].append(fleet.round(*way))
    return {
        name: {figure: round(statistics.median(one[figure] for one in each), 4) for figure in each[0]}
        for name, each in rounds.items()
    }


def judged(medians: Mapping[str, Figures]) -> dict[str, float]:
    """The first is to be at least 0.8, the CPU at most 1.25."""

    def cpu(name: str) -> float:
        return medians[name]["owners_cpu_s_per_1000"] + medians[name]["routers_cpu_s_per_1000"]

    rate = medians["router"]["reservations_per_s"] / medians["direct"]["reservations_per_s"]
    return {
        "router_rate_by_direct": round(rate, 3),
        "router_rate_by_direct_min": ROUTED_MIN,
        "two_cells_cpu_by_one_server": round(cpu("two_cells_two_routers") / cpu("direct"), 3),
        "two_cells_cpu_by_one_server_128": round(cpu("two_cells_two_routers_128") / cpu("direct"), 3),
        "two_cells_cpu_by_one_server_max": CPU_MAX,
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        medians = measured(Path(directory))
    found = {"machine": describe(), "callers": CALLERS, "medians": medians, "judged": judged(medians)}
    text = json.dumps(found, indent=2)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "routed.json").write_text(text + "\n")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
