"""The page that shows a run's results: `python -m bench.page` writes it anew from the committed results."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.charts import bars, figure
from bench.processes import ROOT
from bench.targets import Results, judge

PAGE = ROOT / "docs" / "benchmarks.md"
LABELS = {
    "noop": "no-op call, grpc.aio",
    "noop_bare": "no-op call, the service's own layer",
    "sqlite": "stockkeeper, SQLite",
    "postgres": "stockkeeper, Postgres",
    "orm": "ORM, SELECT … FOR UPDATE",
    "plpgsql": "one PL/pgSQL call",
    "redis": "Redis, Lua, as it comes",
    "redis_coalesced": "Redis, Lua, coalesced",
}
WORKLOADS = {
    "hot": "Orders of two lines on four rows",
    "spread": "Orders of two lines on 10,000 rows",
    "day": "The orders of a shop's real day",
}
COLUMNS = {
    "calls_per_s": "calls/s",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "cpu_s_per_1000": "CPU s per 1,000",
    "server_cpu_s_per_1000": "… the server alone",
    "client_cpu_s_per_1000": "client's",
    "peak_memory_mib": "server's peak MiB",
    "memory_mib": "all, MiB",
}
INTRODUCTION = """# Benchmarks

The service beside a server that does nothing, and beside the usual ways to build the same. `make bench` measures all of
it anew and writes this page; Redis takes part where `redis-server` is installed.

```sh
make bench                # half an hour
make bench ARGS=--quick   # one short round of each, into build/bench; the page stays as it is
```
"""
METHOD = """## How it is measured

- One client drives every system: 64 closed-loop callers on 8 connections, with HTTP/2 frames that are prepared before
  the clock runs. No order is sent twice. The client shares the machine, so the tables show its CPU too; it checks the
  status and the first field of every answer.
- Every system is a process of its own with a database of its own, on the same disk. The systems of a suite run
  together and take turns, {rounds} rounds of {round_s:g} s each. The tables show medians, and each ratio compares
  figures of one suite in one run. After a suite the databases are read: reservations, items and reserved pieces must be
  those that were acknowledged, row by row.
- The no-op is a `grpc.aio` server that returns prepared bytes: the ceiling for a Python server on that layer, which the
  rivals use. The service stands on gRPC's core without it ([core_call.py](../rpc/transport/core_call.py)), and a second
  no-op shows the ceiling there. All run on uvloop, with the same grpcio ({grpcio}); grpc.aio was faster before 1.84
  (see [performance.md](performance.md)).
- Every reservation is durable before its answer: SQLite with `synchronous=FULL`, PostgreSQL with `fsync` and
  `synchronous_commit`, Redis with `appendfsync always`. The rivals ([bench/rivals](../bench/rivals)) check all lines,
  take all or nothing, store the reservation and its items, and are idempotent on the order. They keep no ledger, choose
  no warehouses and expire nothing. Connections of their pools, the best of those tried: {pools}.
- CPU is the time of all processes of a system, its database included, per 1,000 calls. Memory is that of a suite.
"""


def write(results: Path, page: Path) -> Path:
    """Write the page and its pictures, in a directory beside it, and return the page's path."""
    run = json.loads(results.read_text())
    pictures = page.with_suffix("")
    pictures.mkdir(parents=True, exist_ok=True)
    for old in pictures.glob("*.svg"):
        old.unlink()
    parts = [INTRODUCTION, _machine(run), _targets(run["suites"]), _method(run)]
    for section in (_reserve, _one_caller, _slow_disk, _others, _long_run):
        parts += section(run["suites"], pictures)
    page.write_text("\n".join(parts).rstrip() + "\n")
    return page


def _machine(run: Mapping[str, Any]) -> str:
    machine = run["machine"]
    skipped = "".join(f" Not measured: {reason}." for reason in run["skipped"])
    return (
        f"Measured on {machine['date']} with `{machine['command'].strip()}`: {machine['cores']} cores"
        f" ({machine['cpu']}), {machine['system']}, Python {machine['python']}, SQLite {machine['sqlite']};"
        f" load before the run {machine['load_before'][0]:.1f}.{skipped}\n"
    )


def _method(run: Mapping[str, Any]) -> str:
    pools = ", ".join(f"{LABELS[name]} {size}" for name, size in run["pools"].items()) or "their defaults"
    grpcio = run["machine"].get("grpcio", "as installed")
    return METHOD.format(grpcio=grpcio, rounds=run["pace"]["rounds"], round_s=run["pace"]["round_s"], pools=pools)


def _targets(results: Results) -> str:
    lines = ["## Targets and results", "", "| | asked | reached | | held by suite |", "|---|---|---|---|---|"]
    for verdict in judge(results):
        target = verdict.target
        sign = "≥" if target.at_least else "≤"
        reached = "not measured" if verdict.reached is None else figure(verdict.reached)
        mark = "" if verdict.reached is None else "yes" if verdict.is_met else "**no**"
        lines.append(f"| {target.text} | {sign} {target.asked:g} | {reached} | {mark} | {target.held_by} |")
    return "\n".join([*lines, ""])


def _reserve(results: Results, pictures: Path) -> list[str]:
    parts: list[str] = []
    suite = results.get("reserve", {})
    for workload, title in WORKLOADS.items():
        named = {name: suite[key] for name in LABELS if (key := f"{name} {workload}") in suite}
        if named:
            parts += _section(title, f"reserve-{workload}", named, pictures)
    many = results.get("reserve, 128 callers", {})
    if many:
        named = {_label(name): figures for name, figures in many.items()}
        parts += ["## With 128 callers", "", _table(named)]
    return parts


def _one_caller(results: Results, pictures: Path) -> list[str]:
    suite = results.get("one caller")
    if not suite:
        return []
    rows = [(_label(name), figures["p50_ms"], _kind(name)) for name, figures in suite.items()]
    return [
        *_picture("One caller alone", "p50 in ms", "one-caller", rows, pictures),
        _table({_label(name): figures for name, figures in suite.items()}),
    ]


def _slow_disk(results: Results, pictures: Path) -> list[str]:
    suite = results.get("slow disk")
    if not suite:
        return []
    return _section("Four hot rows on a disk that syncs 2 ms slower", "slow-disk", suite, pictures)


def _others(results: Results, pictures: Path) -> list[str]:
    parts: list[str] = []
    for suite, title in {
        "streams": "Streamed reservations",
        "checks": "Checks, and a mix of 70 % checks, 20 % reservations, 7 % confirmations, 3 % releases",
        "lines": "Orders of one line and of a hundred",
        "many rows": "Many rows and few",
    }.items():
        if figures := results.get(suite):
            rows = [(_label(name), one["calls_per_s"], _kind(name)) for name, one in figures.items()]
            parts += _picture(title, "calls a second", suite.replace(" ", "-"), rows, pictures)
            parts.append(_table({_label(name): one for name, one in figures.items()}))
    return parts


def _long_run(results: Results, pictures: Path) -> list[str]:
    suite = results.get("long run")
    if not suite:
        return []
    figures = suite["sqlite"]
    rows = [
        (f"after {step}0 %", figures[f"memory_mib_after_{step}0_percent"], "ours")
        for step in range(1, 11)
        if f"memory_mib_after_{step}0_percent" in figures
    ]
    title = f"Memory over {figures['reservations']:,.0f} reservations"
    return _picture(title, "MiB", "long-run", rows, pictures)


def _section(title: str, name: str, named: Mapping[str, Mapping[str, float]], pictures: Path) -> list[str]:
    rows = [(_label(key), figures["calls_per_s"], _kind(key)) for key, figures in named.items()]
    table = _table({_label(key): figures for key, figures in named.items()})
    return [*_picture(title, "calls a second", name, rows, pictures), table]


def _picture(title: str, unit: str, name: str, rows: Sequence[tuple[str, float, str]], pictures: Path) -> list[str]:
    (pictures / f"{name}.svg").write_text(bars(title, unit, rows))
    return [f"## {title}", "", f"![{title}, {unit}]({pictures.name}/{name}.svg)", ""]


def _table(named: Mapping[str, Mapping[str, float]]) -> str:
    columns = [name for name in COLUMNS if any(name in figures for figures in named.values())]
    lines = ["| | " + " | ".join(COLUMNS[name] for name in columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for label, figures in named.items():
        cells = (figure(figures[name]) if name in figures else "" for name in columns)
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _label(name: str) -> str:
    system, rest = _parts(name)
    return f"{LABELS[system]}{', ' if rest else ''}{rest}" if system in LABELS else name


def _parts(name: str) -> tuple[str, str]:
    """The system, and the words that tell it from the others in the same picture."""
    system, _, rest = name.partition(" ")
    return system.rstrip(","), rest


def _kind(name: str) -> str:
    system, _ = _parts(name)
    return (
        "ceiling"
        if system in ("noop", "noop_bare", "one")
        else "rival"
        if system in LABELS and system not in OURS
        else "ours"
    )


OURS = ("sqlite", "postgres")

if __name__ == "__main__":
    write(ROOT / "bench" / "results" / "service.json", PAGE)
