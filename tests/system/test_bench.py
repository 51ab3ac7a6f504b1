"""The benchmarks count what happened: what they say was acknowledged is in the databases, of the service and of its
rivals, and they notice when it is not.
"""

import asyncio
import json
import re
import shutil
from pathlib import Path

import pytest
from stockkeeper_client.v1 import inventory_pb2 as pb

from bench import fill, page, startup
from bench.generator import Call, drive
from bench.measure import Pace, reserving, take_turns
from bench.mixes import checking, mixed
from bench.orders import DAY, HOT, SPREAD, Workload, day_variants, reserve_request, spread, variant
from bench.systems import SYSTEMS, Running, Setting
from bench.targets import judge

PACE = Pace(round_s=0.2, rounds=1, warm_up_s=0.1, long_run=100, many_rows=100)
FEW = spread(1_000)
VARIANTS = [variant(row) for row in range(FEW.rows)]
FAILED_PRECONDITION, NOT_FOUND = 9, 5

needs_redis = pytest.mark.skipif(shutil.which("redis-server") is None, reason="redis-server is not installed")


def measure(running: Running) -> None:
    contestants = {workload.name: reserving(running, workload, callers=16) for workload in (HOT, FEW)}
    for figures in take_turns(contestants, PACE).values():
        assert figures["calls"] > 0
        assert figures["server_cpu_s_per_1000"] > 0


def test_the_service_holds_what_was_counted_and_the_ceiling_is_measured_with_it(tmp_path: Path) -> None:
    for name in ("noop", "sqlite"):
        (tmp_path / name).mkdir()
        with SYSTEMS[name](Setting(tmp_path / name, VARIANTS + day_variants())) as running:
            measure(running)
            reserving(running, DAY, callers=8).round(0.2)
            checking(running, FEW.rows, callers=8).round(0.1)
            mixed(running, FEW, callers=8).round(0.1)
        assert running.peak_memory_mib > 10


def test_rows_that_are_too_many_to_import_are_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fill, "IMPORT_ROWS_MAX", len(VARIANTS) - 1)
    with SYSTEMS["sqlite"](Setting(tmp_path, VARIANTS)) as running:
        measure(running)


def test_an_acknowledged_order_that_is_not_in_the_database_is_noticed(tmp_path: Path) -> None:
    with SYSTEMS["sqlite"](Setting(tmp_path, VARIANTS)) as running:
        measure(running)
    running.accepted.append((HOT, [running.next_number]))
    with pytest.raises(AssertionError):
        running.audit()


def test_a_status_that_is_not_ok_is_counted_as_what_it_is(tmp_path: Path) -> None:
    with SYSTEMS["sqlite"](Setting(tmp_path, VARIANTS[:4])) as running:
        calls = [*HOT.calls(range(10)), *FEW.calls([11])]
        outcome = drive(running.server.port, calls, callers=4)
        running.accepted.append((HOT, outcome.accepted))
        assert outcome.statuses == {0: 10, NOT_FOUND: 1}
        assert sorted(outcome.accepted) == list(range(10))


@pytest.mark.parametrize(
    "name",
    ["orm", "plpgsql", pytest.param("redis", marks=needs_redis), pytest.param("redis_coalesced", marks=needs_redis)],
)
def test_a_rival_is_all_or_nothing_and_idempotent_and_holds_what_was_counted(name: str, tmp_path: Path) -> None:
    with SYSTEMS[name](Setting(tmp_path, VARIANTS)) as running:
        measure(running)
        port, number = running.server.port, running.numbers(1)[0]
        [order] = HOT.calls([number])
        outcome = drive(port, [order, order], callers=1, keep_every=1)
        assert outcome.accepted == [number, number]
        running.accepted.append((HOT, [number]))
        first, again = (pb.ReserveStockResponse.FromString(message) for _, message in outcome.answers)
        assert first == again
        assert [item.stock_before - item.stock_after for item in first.reserved_items] == [1, 1]
        for line in (("v1", 200_000_000), ("unknown", 1)):
            half = Call("ReserveStock", reserve_request(running.numbers(1)[0], [("v0", 1), line]), number + 1)
            outcome = drive(port, [half], callers=1)
            assert (dict(outcome.statuses), outcome.accepted) == ({FAILED_PRECONDITION: 1}, [])


def test_a_message_larger_than_the_servers_window_arrives(tmp_path: Path) -> None:
    many = Workload("many", lambda number: [(variant(row), 1) for row in range(1_000)])
    with SYSTEMS["sqlite"](Setting(tmp_path, VARIANTS)) as running:
        outcome = drive(running.server.port, many.calls(range(24)), callers=12, connections=1)
        assert outcome.statuses == {0: 24}
        running.accepted.append((many, outcome.accepted))


def test_a_file_that_is_filled_by_sql_is_what_the_service_would_have_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup, "RESERVATIONS", 10)

    async def measured() -> dict[str, float]:
        database = tmp_path / "stock.db"
        await (await startup.start(startup.sqlite_url(database))).stop()
        startup.fill(database, stock_rows=10, reservations=10)
        return await startup.measure_reservations(database)

    assert asyncio.run(measured())["recovered_s"] > 0


def test_the_page_has_a_line_for_every_target_and_a_picture_for_every_suite(tmp_path: Path) -> None:
    figures = {"calls_per_s": 1_000.0, "p50_ms": 2.0, "p99_ms": 3.0, "cpu_s_per_1000": 0.1}
    names = {
        "reserve": [f"{name} {workload.name}" for name in SYSTEMS for workload in (HOT, SPREAD, DAY)],
        "one caller": ["noop", "sqlite", "one commit of SQLite"],
        "checks": ["noop checks", "sqlite checks"],
        "slow disk": ["sqlite", "sqlite, usual sync", "plpgsql"],
    }
    suites = {suite: {name: dict(figures) for name in each} for suite, each in names.items()}
    suites["reserve"]["orm hot"]["calls_per_s"] = 20.0
    machine = {"date": "", "command": "", "cores": 2, "cpu": "", "system": "", "python": "", "sqlite": ""}
    run = {
        "machine": {**machine, "load_before": [0.0]},
        "pace": {"round_s": 1, "rounds": 1},
        "skipped": [],
        "pools": {},
    }
    results = tmp_path / "service.json"
    results.write_text(json.dumps({**run, "suites": suites}))
    text = page.write(results, tmp_path / "page.md").read_text()
    assert "| SQLite / the ORM, hot | ≥ 17 | 50 | yes | reserve |" in text
    assert "| SQLite / the ORM, spread | ≥ 13 | 1 | **no** | reserve |" in text
    assert "| hot / spread | ≥ 0.95 | 1 | yes | reserve |" in text
    for verdict in judge(suites):
        assert (verdict.reached is None) == (verdict.target.held_by not in suites), verdict
    pictures = re.findall(r"!\[.*\]\((page/.*)\)", text)
    assert len(pictures) == 6
    assert all((tmp_path / picture).exists() for picture in pictures)
