"""What it takes to move an organization of 100,000 rows: `python -m bench.moved [--postgres] [--busy]`.

Of the whole move and of the part in which the organization is frozen: seconds, and CPU of the owners with Postgres,
where it is used, and of the mover. The organization has 10,000 stock rows and orders of two lines each. It goes there
and back between two cells, and medians are reported. With `--busy` two callers go on reserving through a router, all
of them in that organization; then the longest call and the calls that failed are reported too. Writes
`bench/results/moved.json`.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import Manager, get_context
from pathlib import Path
from threading import Event
from typing import Any

from stockkeeper_client import InventoryClient, StockLine

from actors.queries import MoveOrganization
from bench.databases import running_postgres
from bench.generator import drive
from bench.machine import describe
from bench.orders import ORGANIZATION, PIECES, SPREAD_ROWS, WAREHOUSE, spread, variant
from bench.processes import Program, cpu_s, python
from cells.cell_map import parse_map
from rpc.frontends.owner_links import OwnerLinks
from stockkeeper.organization_mover import OrganizationMover

RESULTS = Path(__file__).parent / "results"
CELLS = ("a", "b")
ROWS, ROWS_AN_ORDER, CALLERS, MOVES = 100_000, 6, 64, 2
BUSY_CALLERS, ORDERS_A_PART = 2, 500
BEGIN_AFTER_S = 2.0

Figures = dict[str, float]


class Watched:
    """An owner, with a note of the moment at which the organization is frozen.

    Args:
        owner: is asked.
        on_step: told each step of a move before it is asked for.
    """

    def __init__(self, owner: Any, on_step: Any) -> None:
        self._owner = owner
        self._on_step = on_step

    def __repr__(self) -> str:
        return f"<Watched {self._owner!r}>"

    def answer(self, query: Any) -> Any:
        if isinstance(query, MoveOrganization):
            self._on_step(query.step)
        return self._owner.answer(query)


@contextmanager
def two_cells(folder: Path, urls: Mapping[str, str]) -> Iterator[tuple[dict[str, Program], Program]]:
    """Two cells, of which the first has the organization, and a router."""
    tables = "".join(f'[cells.{name}]\naddress = "unix:{folder}/{name}.sock"\n' for name in CELLS)
    (folder / "cells.toml").write_text(f'version = 1\n{tables}[organizations]\n{ORGANIZATION} = "a"\n')
    a_map = ("--port", "0", "--cells-map", str(folder / "cells.toml"))
    with ExitStack() as stack:
        programs = {}
        for name in CELLS:
            command = python("stockkeeper", "serve", *a_map, "--cell", name, "--database-url", urls[name])
            programs[name] = Program(command, folder / f"{name}.log")
            stack.callback(programs[name].stop)
        router = Program(python("stockkeeper", "route", *a_map), folder / "router.log")
        stack.callback(router.stop)
        asyncio.run(lay_in(router.port))
        orders = (ROWS - 2 * SPREAD_ROWS) // ROWS_AN_ORDER
        outcome = drive(programs["a"].port, spread(SPREAD_ROWS).calls(range(orders)), callers=CALLERS)
        assert set(outcome.statuses) == {0}, outcome.statuses
        yield programs, router


async def lay_in(port: int) -> None:
    """Through a router, which has the first cell take the organization."""
    async with InventoryClient("127.0.0.1", port, breaker=False) as client:
        await client.stock.import_stock([_line(n) for n in range(SPREAD_ROWS)])


def _line(row: int) -> StockLine:
    return {
        "organization_id": ORGANIZATION,
        "variant_id": variant(row),
        "warehouse_id": WAREHOUSE,
        "total_quantity": PIECES,
    }


async def moved(folder: Path, cell: str, pids: list[int]) -> Figures:
    """The figures of one move."""
    there = parse_map((folder / "cells.toml").read_text())
    links = OwnerLinks(100, lambda: None)
    links.follow(there)
    while not all(links.owner_of(name).serving for name in CELLS):  # noqa: ASYNC110 - links do not tell
        await asyncio.sleep(0.01)
    frozen: list[tuple[float, float, float]] = []

    def used() -> tuple[float, float, float]:
        return time.perf_counter(), cpu_s(pids), time.process_time()

    def on_step(step: str) -> None:
        if (step == "freeze" and not frozen) or (step == "drop" and len(frozen) == 1):
            frozen.append(used())

    owners: Any = {name: Watched(links.owner_of(name), on_step) for name in CELLS}
    begin = used()
    done = await OrganizationMover(owners, ORGANIZATION, cell).run()
    whole = [now - then for now, then in zip(used(), begin, strict=True)]
    still = [now - then for now, then in zip(frozen[1], frozen[0], strict=True)]
    links.close()
    names = ("s", "servers_cpu_s", "mover_cpu_s")
    return {
        "rows": done.rows,
        **{f"whole_{name}": value for name, value in zip(names, whole, strict=True)},
        **{f"frozen_{name}": value for name, value in zip(names, still, strict=True)},
    }


def reserve_until(port: int, first: int, is_over: Event) -> Figures:
    """In another process: callers, and what became of their calls."""
    done = failed = 0
    longest_s = 0.0
    while not is_over.is_set():
        begin = first + done
        outcome = drive(port, spread(SPREAD_ROWS).calls(range(begin, begin + ORDERS_A_PART)), callers=BUSY_CALLERS)
        done += outcome.calls
        failed += outcome.calls - outcome.statuses[0]
        longest_s = max(longest_s, *outcome.latencies_s)
    return {"calls": done, "failed": failed, "longest_call_s": longest_s}


def measured(folder: Path, urls: Mapping[str, str], others: list[int], *, is_busy: bool) -> Figures:
    """The medians of some moves there and back."""
    moves: list[Figures] = []
    with ExitStack() as stack:
        programs, router = stack.enter_context(two_cells(folder, urls))
        pool = stack.enter_context(ProcessPoolExecutor(1, mp_context=get_context("spawn")))
        is_over = stack.enter_context(Manager()).Event()
        pids = [*(program.pid for program in programs.values()), *others]
        for number in range(MOVES):
            is_over.clear()
            busy = pool.submit(reserve_until, router.port, ROWS * (1 + number), is_over) if is_busy else None
            time.sleep(BEGIN_AFTER_S if is_busy else 0)
            figures = asyncio.run(moved(folder, ("b", "a")[number % 2], pids))
            is_over.set()
            moves.append(figures if busy is None else {**figures, **busy.result()})
    return {name: round(statistics.median(one[name] for one in moves), 3) for name in moves[0]}


def main() -> None:
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--postgres", action="store_true", help="instead of SQLite")
    parser.add_argument("--busy", action="store_true", help="while callers go on reserving")
    options = parser.parse_args()
    is_postgres = options.postgres
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        urls = {name: f"sqlite+aiosqlite:///{folder}/{name}.db" for name in CELLS}
        others: list[int] = []
        if is_postgres:
            databases = [stack.enter_context(running_postgres({})) for _ in CELLS]
            urls = {name: database.url for name, database in zip(CELLS, databases, strict=True)}
            others = [database.pid for database in databases if database.pid is not None]
        found = measured(folder, urls, others, is_busy=options.busy)
    key = ("postgres" if is_postgres else "sqlite") + ("_busy" if options.busy else "")
    path = RESULTS / "moved.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    text = json.dumps({**kept, "machine": describe(), key: found}, indent=2)
    path.write_text(text + "\n")
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    main()
