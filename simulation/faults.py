"""What may go wrong in one run, and how big the run is. The seed draws all of it; a caller can override any of it.

Swarm testing (Groce et al., 2012): each seed leaves some faults out altogether, since a run that has everything
at once rarely gets far enough to meet the rare combination of two. Half of the seeds go to a *corner*, where one
particular thing happens all the time that elsewhere hardly ever happens.
"""

from random import Random
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from simulation.corners import CORNERS, LATER_CORNERS, choosy, meetings, staging, with_cells
from simulation.schedule.trio_schedule import Mode

Dispatch = Literal["inline", "tasks", "mixed"]
Backend = Literal["trio", "asyncio"]
DiskKind = Literal["memory", "sqlite", "power-cut"]

CRASH_STEPS_MAX = 6_000
CELLS_FROM = 1_000_000_000  # from this seed on, worlds have two cells
LATE_S_MAX = 30  # from decision to disk: longer than any stall and slow disk
RATES = (
    "request_lost",
    "reply_lost",
    "duplicate",
    "late_duplicate",
    "gives_up",
    "slow_network",
    "store_error",
    "landed_although_failed",
    "lands_late",
    "slow_store",
    "slow_turns",
    "actor_crash",
)


class Options(Struct, frozen=True):
    """One run. A rate is a probability: per attempt for the network's faults, per operation for the store's.

    Args:
        clients: concurrent callers.
        operations: what each of them does, one after another.
        mode: how the next task is chosen.
        dispatch: what a row with mail gets: `inline` no task, `tasks` always one, `mixed` one by a coin.
        late_coin: the part of the rows' turns that get a task where dispatch is mixed.
        inline_orders: the part of the orders' turns that are tried without a task; in production 1.
        inline_rows: the part of the rows' turns that come without mail, where they can; in production 1.
        stall: the tasks whose names contain this are stalled now and then; empty: none is.
        crash_steps: at these steps the process is killed.
        wall_jumps: how often the wall clock jumps.
        second_owners: how often another process takes the database over.
        slow_turns: the part of the turns that begin late, as on a busy machine, so that holds stay undecided for long.
        actor_crash: the part of the rows' turns that meet a bug.
        slow_store_s, slow_network_s, slow_turn_s: the longest delay of each kind.
        rounds_s: clients begin at multiples of this only, and so together; 0: at any time.
        hurry: how often a client asks something else of an order before its first question is answered.
        think_s: how long a client waits between operations, at most.
        organizations, variants, warehouses: how many there are.
        pieces: how many each row has, at most.
        orders: how many orders the clients share in each organization.
        staged_from: an import of this number of lines or more is staged first, a few at a time; 0: none is.
        sites: how often a client asks something of warehouses, levels, transfers or policies on top of what it does.
        history: how often a client looks back, or goes on to follow the changes, on top of what it does.
        sourcing: how often a client asks something of how baskets are served, on top of what it does.
        meets: how often a client has operations meet in one row, on top of what it does.
        losses: how often it finds that goods of a reservation are gone, likewise.
        default_levels: the least, the most and the reorder point of a row that is made without them.
        aims_at_expiry: how often a confirmation or release waits for the instant of expiry.
        names_warehouse: the part of the lines that names its warehouse.
        lines_min: lines of a basket at least; there are at most four.
        import_lines_max: rows that one import counts, at most.
        ttl_minutes_max: the longest life of a reservation; the shortest is one minute.
        variants_in_memory, orders_in_memory, mailbox, calls: bounds of the core.
        idle_timeout_s: when the core passivates.
        heartbeat_s: how often the core asks the database whether it is there, and does a step of housekeeping.
        keep_s: housekeeping moves out what has been over for longer; 0: it keeps everything.
        skipped: operations (client, number) that are left out: a shrunk run.
        wishes: how often clients choose each kind of operation.
        crowd_min: how many callers the journal takes for a crowd.
        relayed: whether relays pass on what happens, to a broker that fails in its own ways.
        consumed: whether a consumer does what others say, by way of such a broker.
        cells: whether there are two cells, between which organizations move.
        moves_killed: after how many messages programs that move one are killed, one after another; empty: as the seed
            says.
    """

    clients: int = 6
    operations: int = 10
    mode: Mode = "shuffle"
    dispatch: Dispatch = "mixed"
    late_coin: float = 0.5
    inline_orders: float = 0.5
    inline_rows: float = 0.2
    stall: str = ""
    crash_steps: tuple[int, ...] = ()
    wall_jumps: int = 0
    second_owners: int = 0
    request_lost: float = 0.0
    reply_lost: float = 0.0
    duplicate: float = 0.0
    late_duplicate: float = 0.0
    gives_up: float = 0.0
    slow_network: float = 0.0
    store_error: float = 0.0
    landed_although_failed: float = 0.0
    lands_late: float = 0.0
    slow_store: float = 0.0
    slow_turns: float = 0.0
    actor_crash: float = 0.0
    slow_store_s: float = 0.05
    slow_turn_s: float = 0.003
    slow_network_s: float = 0.5
    think_s: float = 1.0
    rounds_s: float = 0.0
    hurry: float = 0.0
    organizations: int = 1
    variants: int = 2
    warehouses: int = 2
    pieces: int = 6
    orders: int = 12
    names_warehouse: float = 0.5
    lines_min: int = 1
    import_lines_max: int = 4
    staged_from: int = 0
    sites: float = 0.0
    history: float = 0.0
    sourcing: float = 0.0
    meets: float = 0.0
    losses: float = 0.0
    default_levels: tuple[int, int, int] = (0, 0, 0)
    aims_at_expiry: float = 0.25
    ttl_minutes_max: int = 1
    variants_in_memory: int = 100
    orders_in_memory: int = 100
    mailbox: int = 1_000
    calls: int = 10_000
    idle_timeout_s: float = 30.0
    heartbeat_s: float = 30.0
    keep_s: int = 0
    skipped: tuple[tuple[int, int], ...] = ()
    wishes: tuple[int, ...] = (8, 3, 3, 3, 3, 1, 1, 1, 2, 2, 1, 1)
    crowd_min: int = 3
    relayed: bool = False
    consumed: bool = False
    cells: bool = False
    moves_killed: tuple[int, ...] = ()


STALLS = ("drain", "Journal.run", "Loader.run", "Expiry.run", "_finish_query", "handle", "Client.run")


def options_of(seed: int, **overrides: Any) -> Options:
    """The options of a seed.

    Args:
        overrides: fields of Options; None leaves the seed's choice.
    """
    random = Random(f"{seed}/options")
    chosen: dict[str, Any] = {
        "clients": random.choice((2, 3, 4, 6, 8, 12)),
        "operations": random.randint(4, 14),
        "mode": random.choice(("shuffle", "shuffle", "walk", "walk", "pct")),
        "dispatch": random.choice(("mixed", "mixed", "tasks", "inline")),
        "late_coin": random.choice((0.2, 0.5, 0.9)),
        "stall": random.choice(STALLS) if random.random() < 0.4 else "",
        "wall_jumps": random.randint(1, 4) if random.random() < 0.3 else 0,
        "second_owners": 1 if random.random() < 0.15 else 0,
        "slow_store_s": random.choice((0.01, 0.1, 1.0)),
        "slow_network_s": random.choice((0.01, 0.3, 3.0)),
        "slow_turn_s": random.choice((0.001, 0.01, 0.1)),
        "think_s": random.choice((0.0, 0.0, 0.01, 0.1, 1.0, 8.0, 30.0)),
        "organizations": random.choice((1, 1, 2)),
        "variants": random.randint(1, 4),
        "warehouses": random.randint(1, 3),
        "pieces": random.choice((1, 3, 8, 30)),
        "orders": random.choice((2, 6, 20, 60)),
        "ttl_minutes_max": random.choice((1, 1, 1, 3)),
        "variants_in_memory": random.choice((2, 4, 100)),
        "orders_in_memory": random.choice((2, 8, 100)),
        "mailbox": random.choice((2, 1_000, 1_000, 1_000)),
        "calls": random.choice((4, 10_000, 10_000, 10_000)),
        "idle_timeout_s": random.choice((0.5, 5.0, 30.0)),
        "wishes": tuple(random.choice((0, 1, 2, 8)) if n else random.choice((4, 8, 16)) for n in range(12)),
    }
    if random.random() < 0.4:
        chosen["crash_steps"] = tuple(
            sorted(random.randrange(100, CRASH_STEPS_MAX) for _ in range(random.randint(1, 3)))
        )
    for rate in RATES:
        if random.random() < 0.35:
            chosen[rate] = random.choice((0.01, 0.05, 0.2))
    if random.random() < 0.5:
        chosen["slow_turns"] = random.choice((0.1, 0.5, 1.0))
    chosen["actor_crash"] = random.choice((0.01, 0.05)) if "actor_crash" in chosen else 0.0
    if random.random() < 0.45:
        chosen.update(_rush(random))
    chosen.update(_keeping(Random(f"{seed}/keeping")))
    chosen.update(_turns(Random(f"{seed}/turns"), chosen["think_s"]))
    corner = Random(f"{seed}/corner")
    if corner.random() < 0.5:
        chosen.update(corner.choice(CORNERS)(corner))
    later = Random(f"{seed}/later corner")  # a stream of its own: other seeds stay what they were
    if later.random() < 0.18:
        chosen.update(later.choice(LATER_CORNERS)(later))
    history = Random(f"{seed}/history")
    if history.random() < 0.5:
        chosen["history"] = history.choice((0.2, 0.5, 1.0))
    sites = Random(f"{seed}/sites")
    if sites.random() < 0.4:
        chosen["sites"] = sites.choice((0.1, 0.3, 0.6))
        chosen["default_levels"] = sites.choice(((0, 0, 0), (1, 0, 2), (2, 9, 4)))
    staged = Random(f"{seed}/staged")
    if staged.random() < 0.4:
        chosen.update(staging(staged))
    chosen.update(_meeting(seed, chosen))
    return Options(**chosen | {name: value for name, value in overrides.items() if value is not None})


def _meeting(seed: int, usual: dict[str, Any]) -> dict[str, Any]:
    """What comes on top of what clients do, from streams of its own."""
    meeting, losses = Random(f"{seed}/meetings"), Random(f"{seed}/losses")
    chosen = meetings(meeting) if meeting.random() < 0.1 else {}
    if losses.random() < 0.4:
        chosen["losses"] = losses.choice((0.1, 0.3, 0.6))
    chosen |= choosy(Random(f"{seed}/sourcing"))
    return chosen | (with_cells(Random(f"{seed}/shops"), usual | chosen) if seed >= CELLS_FROM else {})


def _rush(random: Random) -> dict[str, Any]:
    """All clients want the same few goods at the same moment, on a machine that is behind."""
    return {
        "clients": random.choice((6, 12, 16)),
        "think_s": random.choice((0.0, 0.0, 0.02)),
        "dispatch": random.choice(("tasks", "mixed")),
        "slow_turns": random.choice((0.3, 1.0)),
        "slow_turn_s": random.choice((0.003, 0.03)),
        "variants": random.randint(2, 4),
        "warehouses": random.choice((1, 1, 2)),
        "pieces": random.choice((2, 3, 5)),
        "orders": random.choice((6, 60, 200)),
        "lines_min": random.choice((1, 2, 3)),
        "wishes": (16, 1, 8, 1, random.choice((0, 4)), random.choice((0, 1)), 1, 8, 1, 1, 1, 1),
    }


def _turns(random: Random, think_s: float) -> dict[str, Any]:
    """Where turns are taken: in some seeds as in production, in most by coins and in a crowd. Clients that meet at one
    instant find each other's messages in the mailboxes and each other's holds in the rows.
    """
    chosen: dict[str, Any] = {
        "inline_orders": random.choice((0.0, 0.2, 0.2, 0.5, 0.8)),
        "inline_rows": random.choice((0.0, 0.4, 0.4, 0.6, 0.6, 0.6)),
        "hurry": random.choice((0.0, 0.2, 0.2, 0.6)),
        "rounds_s": 0.0,
    }
    crowd = random.random()
    if crowd < 0.25:
        chosen.update({"dispatch": "inline", "inline_orders": 1.0, "inline_rows": random.choice((0.5, 1.0))})
    elif crowd < 0.65:
        chosen.update(
            {
                "clients": random.choice((10, 14)),
                "operations": random.choice((10, 14, 20)),
                "rounds_s": max(0.1, think_s / 2),
                "dispatch": random.choice(("tasks", "mixed")),
                "slow_turns": random.choice((0.6, 0.9)),
                "slow_turn_s": random.choice((0.1, 1.0, 1.0)),
                "variants": random.choice((3, 4)),
                "warehouses": 1,
                "pieces": random.choice((8, 30, 60)),
                "orders": random.choice((6, 40, 120)),
                "lines_min": random.choice((2, 3)),
                "wishes": (16, random.choice((1, 8)), 8, 1, 8, random.choice((0, 1, 2)), 2, 8, 1, 1, 1, 1),
            }
        )
    return chosen


def _keeping(random: Random) -> dict[str, Any]:
    """Whether housekeeping moves out what is over, mostly in a run that is long enough for it to happen twice: the same
    orders and deliveries come again. What is over is kept for longer than any batch is under way, as in production.
    """
    if random.random() < 0.7:
        return {}
    chosen: dict[str, Any] = {
        "keep_s": random.choice((LATE_S_MAX, 40, 60)),
        "heartbeat_s": random.choice((2.0, 10.0, 30.0)),
    }
    if random.random() < 0.8:
        chosen.update({"think_s": random.choice((20.0, 60.0)), "operations": random.choice((10, 14))})
        chosen["orders"] = random.choice((2, 6))
        chosen["idle_timeout_s"] = random.choice((0.5, 5.0, 300.0))
    return chosen


def calm(options: Options) -> Options:
    """The same run with every fault switched off."""
    quiet: dict[str, Any] = dict.fromkeys(RATES, 0.0)
    return replace(options, stall="", crash_steps=(), wall_jumps=0, second_owners=0, **quiet)
