"""What traces cost a server: `python -m bench.traced [--rounds N] [--round-s SECONDS]`.

Three servers take turns at durable reservations of two lines by 64 callers: one without `--traces`, one that follows a
call of a hundred, as it does by default, and one that follows each. Spans go to a collector in a process of its own. Of
each turn the figures of the two are divided by those of the first: a machine's pace changes from one minute to the
next. And what is asked at each place of the code where a trace would be told of something, whether there is any, is
timed alone. Writes `bench/results/traced.json`.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import timeit
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import psutil
from stockkeeper_client import InventoryClient, StockLine

from bench.generator import drive
from bench.machine import describe
from bench.orders import ORGANIZATION, PIECES, SPREAD, WAREHOUSE, variant
from bench.processes import Program, cpu_s, python

RESULTS = Path(__file__).parent / "results"
CALLERS, ROUNDS, ROUND_S, WARM_UP_S = 64, 10, 2.0, 2.0
RATE_MAX = 20_000
WAYS = {"off": None, "one of a hundred": "", "each": "always_on"}
# The places that a reservation passes: `CallWatch.begin`, `origin_of_call` (two), `Supervisor.submit`,
# `OrderActor.handle`, `Coordinator._decide`, `WatchedCall.ended`. `Journal` asks once a batch.
PLACES = 7
LOOKS = 2_000_000

Figures = Mapping[str, float]


class Collector(BaseHTTPRequestHandler):
    """Takes what is sent to it, and forgets it."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        pass


@contextmanager
def collecting() -> Iterator[str]:
    """The URL of a collector that runs for the length of the block."""
    collector = HTTPServer(("127.0.0.1", 0), Collector)
    process = get_context("fork").Process(target=collector.serve_forever, daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{collector.server_port}"
    finally:
        process.terminate()
        process.join()
        collector.server_close()


class Server:
    """One of the servers, and the orders that it has not had.

    Args:
        sampler: of OpenTelemetry; empty: the program's own; None: nothing is traced.
        collector: its URL.
    """

    def __init__(self, folder: Path, sampler: str | None, collector: str) -> None:
        folder.mkdir()
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector} | ({"OTEL_TRACES_SAMPLER": sampler} if sampler else {})
        traces = [] if sampler is None else ["--traces"]
        database = ("--database-url", f"sqlite+aiosqlite:///{folder}/stock.db")
        command = python("stockkeeper", "serve", "--port", "0", *database, *traces)
        self._program = Program(command, folder / "log", variables)
        self._orders = count(1)
        asyncio.run(_lay_in(self._program.port))

    def __repr__(self) -> str:
        return f"<Server {self._program}>"

    def round(self, duration_s: float) -> Figures:
        """Reservations for a while."""
        calls = SPREAD.calls([next(self._orders) for _ in range(int(RATE_MAX * duration_s))])
        before = cpu_s([self._program.pid])
        outcome = drive(self._program.port, calls, callers=CALLERS, duration_s=duration_s)
        assert set(outcome.statuses) == {0}, outcome.statuses
        return {
            "reservations_per_s": outcome.calls_per_s,
            "server_us": (cpu_s([self._program.pid]) - before) / outcome.calls * 1e6,
        }

    def stop(self) -> None:
        self._program.stop()


async def _lay_in(port: int) -> None:
    async with InventoryClient("127.0.0.1", port, breaker=False) as client:
        await client.stock.import_stock([_line(row) for row in range(SPREAD.rows)])


def _line(row: int) -> StockLine:
    return {
        "organization_id": ORGANIZATION,
        "variant_id": variant(row),
        "warehouse_id": WAREHOUSE,
        "total_quantity": PIECES,
    }


def measure(folder: Path, rounds: int, round_s: float) -> dict[str, object]:
    """The medians of each server's figures, and of those of each turn divided by the first one's."""
    with collecting() as collector:
        servers = {
            name: Server(folder / str(place), sampler, collector) for place, (name, sampler) in enumerate(WAYS.items())
        }
        try:
            for server in servers.values():
                server.round(min(WARM_UP_S, round_s))
            turns = [{name: server.round(round_s) for name, server in servers.items()} for _ in range(rounds)]
        finally:
            for server in servers.values():
                server.stop()
    found: dict[str, object] = {}
    for name in WAYS:
        medians = {figure: statistics.median(turn[name][figure] for turn in turns) for figure in turns[0][name]}
        ratios = {
            f"{figure}_ratio": statistics.median(turn[name][figure] / turn["off"][figure] for turn in turns)
            for figure in medians
        }
        found[name] = {key: round(value, 3) for key, value in (medians | ratios).items()}
    return found


def look_us() -> float:
    """How long it takes to ask at all places of a reservation whether there is a trace, in microseconds."""
    place = SimpleNamespace(stages=None)
    asked = timeit.repeat("place.stages is not None", globals={"place": place}, number=LOOKS, repeat=5)
    nothing = timeit.repeat("pass", number=LOOKS, repeat=5)
    return PLACES * (min(asked) - min(nothing)) / LOOKS * 1e6


def main() -> None:
    parser = ArgumentParser(prog="python -m bench.traced")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--round-s", type=float, default=ROUND_S)
    options = parser.parse_args()
    found: dict[str, object] = {"machine": describe(), "load_before": psutil.getloadavg(), "callers": CALLERS}
    with tempfile.TemporaryDirectory() as folder:
        found |= measure(Path(folder), options.rounds, options.round_s)
    found["looks_us"] = round(look_us(), 3)
    text = json.dumps(found, indent=2) + "\n"
    (RESULTS / "traced.json").write_text(text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
