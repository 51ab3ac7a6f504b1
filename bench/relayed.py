"""What passing events on costs reservations, and how fast a relay is: `python -m bench.relayed [nats] [rabbit]`.

Durable reservations of two lines by 64 callers, with a relay following and without, in turns; then a relay alone with
all that happened. The server's process has a core for itself, with a relay and without; the callers, the relay and the
broker share the others: what a relay takes from a server on a machine with a core to spare. With `--shared` all share
all cores, and the reservations a second say how the cores are shared. Medians are reported.
Writes `bench/results/relayed.json`.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Mapping
from itertools import count
from pathlib import Path

# The tests' package applies gRPC's settings, and has to do so before gRPC is imported.
from tests.events.heard import bind_rabbit
from tests.events.real_brokers import BrokerProcess, running_broker

# isort: split
import psutil
from stockkeeper_client import InventoryClient, StockLine
from stockkeeper_client.v1.events_pb2 import CursorState

from bench.generator import drive
from bench.machine import describe
from bench.orders import ORGANIZATION, PIECES, WAREHOUSE, Workload, variant
from bench.processes import ROOT, Program, cpu_s, python
from events.server_feed import ServerFeed

RESULTS = Path(__file__).parent / "results"
CALLERS, ROUNDS, ROUND_S, WARM_UP_S = 64, 4, 5.0, 2.0
RATE_MAX = 20_000
ROWS = 10_000
SERVER_CORE, OTHER_CORES = {0}, set(range(1, os.cpu_count() or 2))
BEGINNING = "1970-01-02T00:00:00Z"
WORKLOAD = Workload("spread", lambda number: [(variant(number * 7919 % ROWS), 1), (variant(-number % ROWS), 1)], ROWS)

Figures = Mapping[str, float]


class Relayed:
    """A server, and the relays that are started beside it.

    Args:
        url: the broker's.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self._folder = folder
        self._url = url
        database = ("--database-url", f"sqlite+aiosqlite:///{folder}/stock.db")
        self._server = Program(python("stockkeeper", "serve", "--port", "0", *database), folder / "serve.log")
        self._orders = count(1)
        self.made = 0

    def __repr__(self) -> str:
        return f"<Relayed to {self._url} {self._server} made={self.made}>"

    def give_a_core(self) -> None:
        """Let the server run on its core alone."""
        for thread in psutil.Process(self._server.pid).threads():
            os.sched_setaffinity(thread.id, SERVER_CORE)

    async def lay_in(self) -> None:
        async with InventoryClient("127.0.0.1", self._server.port, breaker=False) as client:
            await client.stock.import_stock([_line(row) for row in range(ROWS)])

    async def round(self, name: str, duration_s: float = ROUND_S) -> Figures:
        """Reservations for a while, with a relay of that name following; without one if it is empty."""
        relay = await self._follow(name) if name else None
        calls = WORKLOAD.calls([next(self._orders) for _ in range(int(RATE_MAX * duration_s))])
        before = self._cpu_s(relay)
        outcome = drive(self._server.port, calls, callers=CALLERS, duration_s=duration_s)
        server_s, relay_s = (now - then for now, then in zip(self._cpu_s(relay), before, strict=True))
        assert set(outcome.statuses) == {0}, outcome.statuses
        self.made += outcome.calls
        figures = {"reservations_per_s": outcome.calls_per_s, "server_us": server_s / outcome.calls * 1e6}
        if relay is not None:
            state = await self._state(name)
            figures |= {"relay_us": relay_s / outcome.calls * 1e6, "behind": state.behind}
            await self._passed_on(name)
            _end(relay)
        return figures

    async def backlog(self) -> Figures:
        """All that happened, passed on by a relay while nothing else does."""
        relay = await self._follow("all", "--from", BEGINNING)
        begin, before = time.perf_counter(), self._cpu_s(relay)
        events = (await self._passed_on("all")).cursor.published
        took_s = time.perf_counter() - begin
        server_s, relay_s = (now - then for now, then in zip(self._cpu_s(relay), before, strict=True))
        _end(relay)
        return {
            "events": events,
            "events_per_s": events / took_s,
            "reservations_per_s": self.made / took_s,
            "relay_us_an_event": relay_s / events * 1e6,
            "server_us_an_event": server_s / events * 1e6,
        }

    def stop(self) -> None:
        self._server.stop()

    def _start(self, name: str, *options: str) -> subprocess.Popen[bytes]:
        where = ("--target", f"127.0.0.1:{self._server.port}", "--to", self._url, "--name", name)
        with (self._folder / "relay.log").open("ab") as log:
            return subprocess.Popen(python("stockkeeper", "relay", *where, *options), cwd=ROOT, stderr=log)

    async def _follow(self, name: str, *options: str) -> subprocess.Popen[bytes]:
        relay = self._start(name, *options)
        while not (await self._state(name)).held:  # noqa: ASYNC110 - a server does not call
            await asyncio.sleep(0.1)
        return relay

    async def _passed_on(self, name: str) -> CursorState:
        while True:
            state = await self._state(name)
            if state.cursor.published and not state.behind:
                return state
            await asyncio.sleep(0.5)

    async def _state(self, name: str) -> CursorState:
        feed = ServerFeed(f"127.0.0.1:{self._server.port}")
        try:
            found = [one for one in (await feed.cursors()).cursors if one.cursor.name == name]
        finally:
            await feed.close()
        return found[0] if found else CursorState()

    def _cpu_s(self, relay: subprocess.Popen[bytes] | None) -> tuple[float, float]:
        return cpu_s([self._server.pid]), 0.0 if relay is None else cpu_s([relay.pid])


def _line(row: int) -> StockLine:
    return {
        "organization_id": ORGANIZATION,
        "variant_id": variant(row),
        "warehouse_id": WAREHOUSE,
        "total_quantity": PIECES,
    }


def _end(relay: subprocess.Popen[bytes]) -> None:
    relay.terminate()
    relay.wait(20)


async def measure(kind: str, folder: Path, broker: BrokerProcess, *, shared: bool) -> dict[str, Figures]:
    if kind == "rabbit":
        await bind_rabbit(broker.url)  # a queue that keeps everything, as a service has one
    one = Relayed(folder, broker.url)
    if not shared:
        one.give_a_core()
    try:
        await one.lay_in()
        await one.round("", WARM_UP_S)
        alone, followed = [], []
        for number in range(ROUNDS):
            alone.append(await one.round(""))
            followed.append(await one.round(f"turn-{number}"))
        return {"alone": medians(alone), "followed": medians(followed), "backlog": rounded(await one.backlog())}
    finally:
        one.stop()


def medians(rounds: list[Figures]) -> Figures:
    return rounded({name: statistics.median(one[name] for one in rounds) for name in rounds[0]})


def rounded(figures: Figures) -> Figures:
    return {name: round(figure, 1) for name, figure in figures.items()}


def main() -> None:
    arguments = ArgumentParser(prog="python -m bench.relayed")
    arguments.add_argument("kinds", nargs="*", metavar="BROKER", help="nats or rabbit; both by default")
    arguments.add_argument("--shared", action="store_true", help="let all processes share all cores")
    options = arguments.parse_args()
    if not options.shared:
        os.sched_setaffinity(0, OTHER_CORES)  # and of all that is started from here
    found: dict[str, object] = {"machine": describe(), "load_before": psutil.getloadavg(), "callers": CALLERS}
    found["server_core"] = "shared" if options.shared else "its own"
    for kind in options.kinds or ("nats", "rabbit"):
        with tempfile.TemporaryDirectory() as folder, running_broker(kind, Path(folder) / "broker") as broker:
            found[kind] = asyncio.run(measure(kind, Path(folder), broker, shared=options.shared))
            sys.stderr.write(f"{kind}: {json.dumps(found[kind])}\n")
    text = json.dumps(found, indent=2) + "\n"
    (RESULTS / "relayed.json").write_text(text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
