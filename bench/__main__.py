"""Measure the service against its ceiling and its rivals: `python -m bench`, or `python -m bench --quick`.

Writes `bench/results/service.json` and the page `docs/benchmarks.md`; a run that is quicker or not whole writes
to the directory `build/bench` and leaves both alone.
"""

import json
import os
import shutil
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from bench import page, slow_sync
from bench.machine import describe
from bench.measure import FULL, QUICK
from bench.processes import ROOT
from bench.suites import SUITES, Bench, Result
from bench.systems import RIVALS

RESULTS = Path(__file__).parent / "results" / "service.json"
QUICK_RESULTS = ROOT / "build" / "bench" / "service.json"


def arguments() -> Namespace:
    parser = ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short round of everything, to build/bench")
    parser.add_argument("--only", nargs="+", choices=list(SUITES), help="these suites, to build/bench")
    parser.add_argument("--rivals", nargs="*", choices=list(RIVALS), help="these rivals (all that can be run)")
    parser.add_argument("--rounds", type=int, help="how often the systems take turns")
    parser.add_argument("--round-s", type=float, help="seconds a round")
    parser.add_argument("--long-run", type=int, help="reservations of the long run, up to 5,000,000")
    parser.add_argument("--directory", type=Path, help="where the databases are: the disk that is measured")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    pace = QUICK if options.quick else FULL
    given = {name: getattr(options, name) for name in ("rounds", "round_s", "long_run")}
    pace = replace(pace, **{name: value for name, value in given.items() if value is not None})
    skipped: list[str] = []
    rivals = list(RIVALS) if options.rivals is None else options.rivals
    if shutil.which("redis-server") is None and any(name.startswith("redis") for name in rivals):
        rivals = [name for name in rivals if not name.startswith("redis")]
        skipped.append("Redis: redis-server is not installed")
    names = options.only or [name for name in SUITES if not (options.quick and name == "pools")]
    if not slow_sync.is_possible() and "slow disk" in names:
        names.remove("slow disk")
        skipped.append("slow disk: there is no C compiler")
    suites: dict[str, Result] = {}
    load_before = os.getloadavg()
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        bench = Bench(pace, Path(directory), rivals)
        for name in names:
            begin = time.perf_counter()
            suites[name] = SUITES[name](bench)
            sys.stderr.write(f"{name}: {time.perf_counter() - begin:.0f} s\n")
    written = {
        "machine": {**describe(), "command": "python -m bench " + " ".join(sys.argv[1:]), "load_before": load_before},
        "pace": {"round_s": pace.round_s, "rounds": pace.rounds, "long_run": pace.long_run},
        "skipped": skipped,
        "pools": bench.pools,
        "suites": suites,
    }
    whole = not (options.quick or options.only or options.rounds or options.round_s or options.rivals is not None)
    target = RESULTS if whole else QUICK_RESULTS
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(written, indent=2) + "\n")
    written_page = page.write(target, page.PAGE if whole else target.with_name("benchmarks.md"))
    sys.stdout.write(written_page.read_text() + f"\nWritten to {target} and {written_page}\n")


if __name__ == "__main__":
    main()
