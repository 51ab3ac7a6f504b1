"""A fleet on paper: where organizations of unequal sizes come to lie, and what goes with a machine that fails.

    python -m bench.fleet --rate 1000000 --organizations 100000

One cell's figures were measured (`bench/results/service.json`: Postgres, orders of two lines on 10,000 rows), and so
was what owners and routers of one machine need (`bench/results/routed.json`). All else is computed from them, and
docs/scale.md says what it means. With the default numbers it takes some minutes: each
organization's weight is computed for each cell, by the program's own rendezvous hashing.

An organization's share falls with its rank to the power of `--skew` (Zipf): 0 makes all alike, and with 1 the largest
of 100,000 has a twelfth of everything.
"""

import json
import math
import random
import sys
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from cells.rendezvous import highest, weight

MEASURED = Path(__file__).parent / "results" / "service.json"
ROUTED = Path(__file__).parent / "results" / "routed.json"
SYSTEM = "postgres spread"
DAYS = 365
CORES = (2, 4, 8, 16)


class CellFigures(Struct, frozen=True):
    """What one cell does, as it was measured."""

    reservations_s: float
    owner_cpu_s: float  # for 1,000 reservations
    database_cpu_s: float


class Fleet(Struct, frozen=True):
    """Organizations on cells.

    Args:
        capacity: how many reservations a second a cell is planned for.
        rates: how many each organization makes.
        cell_of: where each one is.
        named: those that are not where hashing has them, but where the map names a cell for them.
        too_large: those that are more than a cell by themselves, and so are nowhere.
    """

    capacity: float
    cells: Sequence[str]
    rates: Mapping[str, float]
    cell_of: Mapping[str, str]
    named: frozenset[str]
    too_large: frozenset[str]

    @property
    def loads(self) -> dict[str, float]:
        loads = dict.fromkeys(self.cells, 0.0)
        for organization, cell in self.cell_of.items():
            loads[cell] += self.rates[organization]
        return loads


class Failures(Struct, frozen=True):
    """A year of machines that fail.

    Args:
        down_at_most: the most cells that waited for their standby at one time.
        late_share: of all reservations, those that came while their cell had no owner.
        worst_s: how long the organizations of the unluckiest cell waited in all.
    """

    failures: int
    down_at_most: int
    late_share: float
    worst_s: float


def measured() -> CellFigures:
    found = json.loads(MEASURED.read_text(encoding="utf-8"))["suites"]["reserve"][SYSTEM]
    owner, every = found["server_cpu_s_per_1000"], found["cpu_s_per_1000"]
    return CellFigures(found["calls_per_s"], owner, every - owner)


class Machine(Struct, frozen=True):
    """What `serve --cells` does on one machine, with callers elsewhere and organizations enough for all cells.

    Args:
        routers: cores' worth of routers: the kernel deals them out.
    """

    cores: int
    cells: int
    routers: int
    reservations_s: float


def machine(cores: int, owner_cpu_s: float, router_cpu_s: float) -> Machine:
    """The division of its cores that makes most of them.

    Args:
        owner_cpu_s, router_cpu_s: of an owner's and a router's core, for 1,000 reservations.
    """
    made = [
        Machine(cores, cells, cores - cells, 1_000 * min(cells / owner_cpu_s, (cores - cells) / router_cpu_s))
        for cells in range(1, cores)
    ]
    return max(made, key=lambda one: one.reservations_s)


def measured_routed() -> tuple[float, float]:
    """CPU seconds of owners and of routers for 1,000 reservations, where each cell has a crowd of its own."""
    found = json.loads(ROUTED.read_text(encoding="utf-8"))["medians"]["two_cells_two_routers_128"]
    return found["owners_cpu_s_per_1000"], found["routers_cpu_s_per_1000"]


def rates(organizations: int, rate: float, skew: float) -> dict[str, float]:
    """How many reservations a second each organization makes, the largest first."""
    shares = [rank**-skew for rank in range(1, organizations + 1)]
    whole = math.fsum(shares)
    return {f"org-{rank}": rate * share / whole for rank, share in enumerate(shares, 1)}


def hashed(cells: Sequence[str], rates: Mapping[str, float], capacity: float) -> Fleet:
    """Each organization in the cell that hashing gives it, whatever that cell has already."""
    too_large = frozenset(organization for organization, rate in rates.items() if rate > capacity)
    cell_of = {organization: highest(cells, organization) for organization in rates if organization not in too_large}
    return Fleet(capacity, cells, rates, cell_of, frozenset(), too_large)


def relieved(fleet: Fleet) -> Fleet:
    """The same with as many organizations named as it takes until no cell has more than it is planned for.

    The largest of a full cell goes to the emptiest one, if it has room there; it is what an operator would do.
    """
    loads, cell_of = fleet.loads, dict(fleet.cell_of)
    members: dict[str, list[str]] = {cell: [] for cell in fleet.cells}
    for organization in sorted(cell_of, key=fleet.rates.__getitem__, reverse=True):
        members[cell_of[organization]].append(organization)
    for full in sorted(fleet.cells, key=loads.__getitem__, reverse=True):
        for organization in members[full]:
            if loads[full] <= fleet.capacity:
                break
            emptiest, rate = min(fleet.cells, key=loads.__getitem__), fleet.rates[organization]
            if loads[emptiest] + rate < min(loads[full], fleet.capacity):
                loads[full] -= rate
                loads[emptiest] += rate
                cell_of[organization] = emptiest
    named = frozenset(one for one, cell in cell_of.items() if cell != fleet.cell_of[one])
    return Fleet(fleet.capacity, fleet.cells, fleet.rates, cell_of, named, fleet.too_large)


def moved_to(fleet: Fleet, new: str) -> list[str]:
    """The organizations that a new cell takes from the others: those that are named for one stay."""
    return [
        organization
        for organization, cell in fleet.cell_of.items()
        if organization not in fleet.named and weight(new, organization) > weight(cell, organization)
    ]


def machines_of(cells: Sequence[str], owners_a_machine: int) -> dict[str, list[str]]:
    """The owners that run on each machine."""
    count = math.ceil(len(cells) / owners_a_machine)
    return {f"machine-{number}": list(cells[number::count]) for number in range(count)}


def after_failure(machines: Mapping[str, Sequence[str]], failed: str) -> Counter[str]:
    """How many owners each other machine has, once the standbys of the one that failed serve.

    A cell's standby is on the machine that hashing gives it of the others, so no machine has all of another's.
    """
    others = [machine for machine in machines if machine != failed]
    owners = Counter({machine: len(machines[machine]) for machine in others})
    owners.update(highest(others, cell) for cell in machines[failed])
    return owners


def year(
    fleet: Fleet, machines: Mapping[str, Sequence[str]], days_between: float, takeover_s: float, seed: int
) -> Failures:
    """A year in which each machine fails again and again, with all its owners; `days_between` is the mean."""
    chance = random.Random(seed)
    failed = sorted(
        (at_s, machine) for machine in machines for at_s in _moments(chance, days_between * 86_400, DAYS * 86_400)
    )
    loads, down_s = fleet.loads, Counter[str]()
    late, most, recent = 0.0, 0, list[tuple[float, int]]()
    for at_s, machine in failed:
        cells = machines[machine]
        recent = [(since_s, number) for since_s, number in recent if since_s + takeover_s > at_s]
        recent.append((at_s, len(cells)))
        most = max(most, sum(number for _, number in recent))
        late += takeover_s * sum(loads[cell] for cell in cells)
        down_s.update(dict.fromkeys(cells, takeover_s))
    whole = sum(loads.values()) * DAYS * 86_400
    return Failures(len(failed), most, late / whole, max(down_s.values(), default=0.0))


def _moments(chance: random.Random, mean_s: float, end_s: float) -> Iterator[float]:
    at_s = chance.expovariate(1 / mean_s)
    while at_s < end_s:
        yield at_s
        at_s += chance.expovariate(1 / mean_s)


def report(options: Namespace) -> Iterator[str]:
    """The lines of the page, all of them computed but the first."""
    cell = measured()
    yield f"measured: a cell does {cell.reservations_s:,.0f} reservations a second ({SYSTEM}, 64 callers, 2 cores)"
    capacity = cell.reservations_s * options.fill
    sizes = rates(options.organizations, options.rate, options.skew)
    cells = [f"cell-{number}" for number in range(math.ceil(options.rate / capacity / options.room))]
    yield f"planned: {capacity:,.0f} a cell, {len(cells):,} cells for {options.rate:,} a second"
    thousands = options.rate / 1_000
    yield (
        f"busy cores: {thousands * cell.owner_cpu_s:,.0f} of owners, {thousands * cell.database_cpu_s:,.0f} of Postgres"
    )
    plain = hashed(cells, sizes, capacity)
    yield from _placed("by hashing alone", plain)
    fleet = relieved(plain)
    yield from _placed(f"with {len(fleet.named):,} organizations named", fleet)
    if fleet.too_large:
        share = math.fsum(fleet.rates[one] for one in fleet.too_large) / options.rate
        yield f"larger than a cell: {len(fleet.too_large):,} organizations, {share:.1%} of all reservations"
    moved = moved_to(fleet, "cell-new")
    yield f"a cell more: {len(moved):,} organizations move to it, and no other does"
    machines = machines_of(cells, options.owners_a_machine)
    most = max(max(after_failure(machines, failed).values()) for failed in machines)
    yield f"{len(machines):,} machines of {options.owners_a_machine} owners: after one fails, none has more than {most}"
    found = year(fleet, machines, options.days_between_failures, options.takeover_s, options.seed)
    yield (
        f"a year, each machine failing once in {options.days_between_failures:g} days and standbys serving after"
        f" {options.takeover_s:g} s: {found.failures:,} failures, {found.down_at_most} cells down at once at most,"
        f" {found.late_share:.5%} of reservations late, {found.worst_s:g} s for the unluckiest organizations"
    )
    for one in (machine(cores, *measured_routed()) for cores in CORES):
        yield (
            f"one machine of {one.cores} cores: {one.cells} cells, routers on {one.routers}:"
            f" {one.reservations_s:,.0f} a second"
        )


def _placed(how: str, fleet: Fleet) -> Iterator[str]:
    loads = sorted(fleet.loads.values())
    full = sum(load > fleet.capacity for load in loads)
    mean = math.fsum(loads) / len(loads)
    yield (
        f"{how}: the fullest cell has {loads[-1]:,.0f} a second, {loads[-1] / mean:.2f} of the mean;"
        f" cells with more than is planned: {full:,}"
    )


def arguments(words: Sequence[str]) -> Namespace:
    parser = ArgumentParser(prog="python -m bench.fleet", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rate", type=int, default=1_000_000, help="reservations a second of all organizations")
    parser.add_argument("--organizations", type=int, default=100_000)
    parser.add_argument("--skew", type=float, default=0.5, help="how unequal they are; 0 makes all alike")
    parser.add_argument("--fill", type=float, default=0.7, help="of what a cell can do, what it is planned for")
    parser.add_argument("--room", type=float, default=0.8, help="of that, what the mean cell has")
    parser.add_argument("--owners-a-machine", type=int, default=8)
    parser.add_argument("--days-between-failures", type=float, default=30.0, help="of one machine")
    parser.add_argument("--takeover-s", type=float, default=5.0, help="until a standby serves")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(words)


def main() -> None:
    for line in report(arguments(sys.argv[1:])):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
