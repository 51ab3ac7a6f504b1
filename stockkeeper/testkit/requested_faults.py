"""The faults that have names, and what each of them means to the simulation."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from random import Random
from typing import Any

from msgspec.structs import replace

from simulation.faults import STALLS, Options, calm, options_of


class Fault(StrEnum):
    """What may go wrong. Either the member or its name in lower case is given to `Simulation.run`."""

    REQUEST_LOST = "request_lost"
    REPLY_LOST = "reply_lost"
    REQUEST_DUPLICATED = "request_duplicated"
    CLIENT_TIMEOUT = "client_timeout"
    SLOW_NETWORK = "slow_network"
    SERVER_CRASH = "server_crash"
    STORE_ERROR = "store_error"
    SLOW_STORE = "slow_store"
    COMMIT_LANDS_LATE = "commit_lands_late"
    COMMIT_LANDS_UNSEEN = "commit_lands_unseen"
    WALL_CLOCK_JUMPS = "wall_clock_jumps"
    STALLS = "stalls"


Faults = Iterable[str] | Mapping[str, float]
Rates = Mapping[Fault, float]

RATES: Rates = {
    Fault.REQUEST_LOST: 0.1,
    Fault.REPLY_LOST: 0.1,
    Fault.REQUEST_DUPLICATED: 0.1,
    Fault.CLIENT_TIMEOUT: 0.1,
    Fault.SLOW_NETWORK: 0.3,
    Fault.SERVER_CRASH: 0.05,
    Fault.STORE_ERROR: 0.05,
    Fault.SLOW_STORE: 0.3,
    Fault.COMMIT_LANDS_LATE: 0.05,
    Fault.COMMIT_LANDS_UNSEEN: 0.05,
    Fault.WALL_CLOCK_JUMPS: 1.0,
    Fault.STALLS: 1.0,
}
"""How often each happens where nothing else is said; `docs/testkit.md` says of what it is the part."""

SLOW_STORE_S = 0.5
SLOW_NETWORK_S = 1.0
HEARTBEAT_S = 3_600.0  # no other server wants the database, and a scenario may sleep for a month
IDLE_TIMEOUT_S = 600.0  # likewise
CRASHES_OF_A_RUN = 3
WALL_JUMPS_OF_A_RUN = 3
_STALLED = ("drain", "Journal.run", "Loader.run", "Expiry.run", "_find_and_ask", "_deliver")


def rates_of(faults: Faults) -> dict[Fault, float]:
    """The faults that were asked for, each with its rate.

    Raises:
        ValueError: a fault has no such name, or a rate is not a probability.
    """
    given = dict(faults) if isinstance(faults, Mapping) else dict.fromkeys(faults)
    if isinstance(faults, str):
        raise ValueError(f"faults are a list of names, as [{faults!r}]")
    rates = {}
    for name, rate in given.items():
        if name not in set(Fault):
            raise ValueError(f"there is no fault {name!r}; there are {', '.join(Fault)}")
        fault = Fault(name)
        rates[fault] = RATES[fault] if rate is None else float(rate)
        if not 0.0 <= rates[fault] <= 1.0:
            raise ValueError(f"the rate of {fault} has to be 0 to 1, not {rate}")
    return rates


def scenario_options(seed: int, rates: Rates) -> Options:
    """The server's side of a world in which a scenario runs; the network is the kit's own."""
    random = Random(f"{seed}/testkit")
    return Options(
        clients=0,
        operations=0,
        mode=random.choice(("shuffle", "walk", "pct")),
        dispatch=random.choice(("mixed", "tasks", "inline")),
        late_coin=random.choice((0.2, 0.5, 0.9)),
        heartbeat_s=HEARTBEAT_S,
        idle_timeout_s=IDLE_TIMEOUT_S,
        stall=random.choice(_STALLED) if random.random() < rates.get(Fault.STALLS, 0.0) else "",
        **_store_options(rates),
    )


def standard_options(seed: int, clients: int | None, rates: Rates | None) -> Options:
    """The standard workload of a seed; None leaves it the seed's own choice of faults."""
    options = options_of(seed, clients=clients)
    if rates is None:
        return options
    random = Random(f"{seed}/testkit")
    crashes = CRASHES_OF_A_RUN if random.random() < rates.get(Fault.SERVER_CRASH, 0.0) * 10 else 0
    jumps = WALL_JUMPS_OF_A_RUN if random.random() < rates.get(Fault.WALL_CLOCK_JUMPS, 0.0) else 0
    return replace(
        calm(options),
        request_lost=rates.get(Fault.REQUEST_LOST, 0.0),
        reply_lost=rates.get(Fault.REPLY_LOST, 0.0),
        duplicate=rates.get(Fault.REQUEST_DUPLICATED, 0.0),
        late_duplicate=rates.get(Fault.REQUEST_DUPLICATED, 0.0) / 2,
        gives_up=rates.get(Fault.CLIENT_TIMEOUT, 0.0),
        slow_network=rates.get(Fault.SLOW_NETWORK, 0.0),
        crash_steps=tuple(sorted(random.randrange(50, 2_000) for _ in range(crashes))),
        wall_jumps=jumps,
        stall=random.choice(STALLS) if random.random() < rates.get(Fault.STALLS, 0.0) else "",
        **_store_options(rates),
    )


def _store_options(rates: Rates) -> dict[str, Any]:
    return {
        "store_error": rates.get(Fault.STORE_ERROR, 0.0),
        "slow_store": rates.get(Fault.SLOW_STORE, 0.0),
        "slow_store_s": SLOW_STORE_S,
        "lands_late": rates.get(Fault.COMMIT_LANDS_LATE, 0.0),
        "landed_although_failed": rates.get(Fault.COMMIT_LANDS_UNSEEN, 0.0),
    }
