"""Where the time of a reservation goes, stage by stage: `python -m bench.stages`.

Two views. The *ladder* is the CPU time of whole server processes under the same 64 callers, each with one stage more
than the one before: gRPC alone, the service's network side on a core that answers at once, the core on a store that
writes nothing, all of it on a file. The *stages* are the service's own functions, timed inside one process; each
wrapper costs about a microsecond, and an idle process has warmer caches than a server.

Writes `bench/results/stages.json`.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import anyio
import uvloop
from stockkeeper_client.v1 import inventory_pb2 as pb

import actors.order_actor
from actors.commands import CountedLine, Import, Reserve
from actors.outcomes import StockReserved
from actors.records import ReservationItem, ReservationRecord, Transaction
from actors.reply import Reply
from bench import systems
from bench.machine import describe
from bench.measure import Pace, reserving, take_turns
from bench.orders import ORGANIZATION, PIECES, SPREAD, SPREAD_ROWS, WAREHOUSE, variant
from bench.processes import python
from bench.systems import Running, Setting
from rpc.messages import responses, validation
from rpc.rpc_server import RpcServer
from stockkeeper.bootstrap import build_sources, build_store
from storage.latecomers import Latecomers, no_latecomers
from storage.memory_store import Disk, MemoryStore
from storage.sql import sqlite_session
from storage.store import Store
from supervisor.activations.stock_directory import StockDirectory
from supervisor.incarnation import Incarnation
from supervisor.limits import Limits
from supervisor.supervisor import Supervisor
from supervisor.transactions.coordinator import Coordinator

RESULTS = Path(__file__).parent / "results" / "stages.json"
CALLERS = 64
ORDERS = 20_000
PACE = Pace(round_s=4.0, rounds=5, warm_up_s=1.0, long_run=0, many_rows=0)
ID = "0199c3c1-1956-77cc-bc2a-b4530d51db33"


class NothingWritten(MemoryStore):
    """A store that keeps imports, and ends any other batch at the next turn of the event loop."""

    async def write(
        self, transactions: Sequence[Transaction], latecomers: Latecomers = no_latecomers
    ) -> Sequence[Transaction]:
        if transactions[0].kind == "import":
            await super().write(transactions)
        else:
            await asyncio.sleep(0)
        return transactions

    async def check_ownership(self) -> None:
        pass


class AnswersAtOnce:
    """A core that has an answer for every order, and keeps nothing."""

    serving = True

    def submit(self, command: Reserve) -> Reply[StockReserved]:
        items = tuple(
            ReservationItem(line.variant_id, line.warehouse_id, line.warehouse_id, ID, line.quantity, 9, 8)
            for line in command.lines
        )
        record = ReservationRecord(ID, command.organization_id, command.order_id, "active", 1, 900_001, items)
        reply: Reply[StockReserved] = Reply()
        reply.set(StockReserved(record))
        return reply


async def serve(stage: str) -> None:
    """Serve as one of the ladder's servers."""
    async with anyio.create_task_group() as tasks:
        inventory: Any = AnswersAtOnce()
        if stage == "core":
            inventory = Supervisor(NothingWritten(Disk()), build_sources(), Limits())
            await tasks.start(inventory.run)
        server = RpcServer(inventory, host="127.0.0.1", port=0, calls_max=10_000)
        addresses = await server.start()
        server.set_serving(True)
        print(f"{stage} listens on {addresses[0]}", flush=True)  # noqa: T201
        await anyio.sleep_forever()


def ladder() -> dict[str, dict[str, float]]:
    """CPU seconds for 1,000 calls of each server, in one run."""

    def step(stage: str, load: bool) -> Callable[[Setting], Any]:
        @contextmanager
        def running(setting: Setting) -> Iterator[Running]:
            yield from systems._serving(stage, python("bench.stages", stage), setting, None, None, load)

        return running

    alone = {"grpc.aio alone": systems.noop, "gRPC's core alone": systems.noop_bare}
    steps = {**alone, "network": step("network", False), "core": step("core", True)}
    with tempfile.TemporaryDirectory() as directory, _all({**steps, "SQLite": systems.sqlite}, directory) as running:
        contestants = {name: reserving(one, SPREAD, callers=CALLERS) for name, one in running.items()}
        figures = take_turns(contestants, PACE)
        return {name: {key: round(value, 4) for key, value in one.items()} for name, one in figures.items()}


@contextmanager
def _all(steps: dict[str, Callable[[Setting], Any]], directory: str) -> Iterator[dict[str, Running]]:
    with ExitStack() as stack:
        running: dict[str, Running] = {}
        for name, step in steps.items():
            place = Path(directory) / name.replace(" ", "_")
            place.mkdir()
            running[name] = stack.enter_context(step(Setting(place, [variant(n) for n in range(SPREAD_ROWS)])))
            running[name].audit = lambda: None  # type: ignore[method-assign] # two of them keep nothing
        yield running


class Stopwatch:
    """Adds up the CPU time in functions, without that of others it has wrapped."""

    def __init__(self) -> None:
        self.spent_ns: dict[str, int] = defaultdict(int)
        self._inside: list[int] = []

    def __repr__(self) -> str:
        return f"<Stopwatch stages={len(self.spent_ns)} inside={len(self._inside)}>"

    def wrap(self, owner: object, name: str, stage: str) -> None:
        function = getattr(owner, name)

        def timed(*arguments: Any, **named: Any) -> Any:
            self._inside.append(0)
            begin = time.thread_time_ns()
            try:
                return function(*arguments, **named)
            finally:
                self._end(stage, begin)

        async def timed_coroutine(*arguments: Any, **named: Any) -> Any:
            self._inside.append(0)  # it does not suspend: the caller does not wait here
            begin = time.thread_time_ns()
            try:
                return await function(*arguments, **named)
            finally:
                self._end(stage, begin)

        setattr(owner, name, timed_coroutine if asyncio.iscoroutinefunction(function) else timed)

    def _end(self, stage: str, begin: int) -> None:
        spent = time.thread_time_ns() - begin
        self.spent_ns[stage] += spent - self._inside.pop()
        if self._inside:
            self._inside[-1] += spent


async def stages(store: Store, written: Stopwatch) -> dict[str, float]:
    """Microseconds of each stage for one reservation of two lines, 64 callers at a time."""
    watch = Stopwatch()
    for owner, name, stage in (
        (validation, "reserve", "validation"),
        (Incarnation, "submit", "order: mailbox, activation, the rest"),
        (actors.order_actor, "plan", "plan"),
        (Coordinator, "prepare", "prepare: a hold on each row"),
        (Coordinator, "decide", "decide: rows, LSN, journal"),
        (StockDirectory, "publish", "publish"),
        (responses, "reserved", "protobuf: answer"),
    ):
        watch.wrap(owner, name, stage)
    core = Supervisor(store, build_sources(), Limits())
    async with anyio.create_task_group() as tasks:
        await tasks.start(core.run)
        figures = (PIECES, 0, 0, 0, 0)
        lines = [CountedLine(ORGANIZATION, variant(n), WAREHOUSE, "", *figures, n + 1) for n in range(SPREAD_ROWS)]
        await core.ask(Import(tuple(lines), "stock"))
        calls = iter(SPREAD.calls(range(ORDERS)))
        watch.spent_ns.clear()
        written.spent_ns.clear()

        async def caller() -> None:
            for call in calls:
                begin = time.thread_time_ns()
                request = pb.ReserveStockRequest.FromString(call.message)
                watch.spent_ns["protobuf: parse"] += time.thread_time_ns() - begin
                fact = await core.ask(validation.reserve(request, ()))
                assert isinstance(fact, StockReserved)
                answer = responses.reserved(fact)
                begin = time.thread_time_ns()
                answer.SerializeToString()
                watch.spent_ns["protobuf: answer"] += time.thread_time_ns() - begin

        begin = time.process_time()
        await asyncio.gather(*(caller() for _ in range(CALLERS)))
        total_us = (time.process_time() - begin) * 1e6 / ORDERS
        core.stop()
    found = {stage: spent / 1_000 / ORDERS for stage, spent in (watch.spent_ns | written.spent_ns).items()}
    found["wake-ups, journal, threads: what is left"] = total_us - sum(found.values())
    return {stage: round(spent_us, 1) for stage, spent_us in found.items()} | {"all": round(total_us, 1)}


def timed_on_a_file() -> dict[str, float]:
    """The stages on a SQLite file in a new directory."""
    written = Stopwatch()
    written.wrap(sqlite_session, "write_batch", "SQL: a batch, on its thread")
    with tempfile.TemporaryDirectory() as directory:
        return asyncio.run(stages(build_store(f"sqlite+aiosqlite:///{directory}/stock.db"), written))


def main() -> None:
    if len(sys.argv) > 1:
        uvloop.run(serve(sys.argv[1]))
        return
    found = {
        "machine": {**describe(), "command": "python -m bench.stages"},
        "callers": CALLERS,
        "cpu_us_of_a_server_for_a_call": {
            name: round(figures["server_cpu_s_per_1000"] * 1e3, 1) for name, figures in ladder().items()
        },
        "us_of_a_stage": timed_on_a_file(),
    }
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")
    print(RESULTS.read_text())  # noqa: T201


if __name__ == "__main__":
    main()
