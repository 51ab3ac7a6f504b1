"""All scenarios, and how often each is done."""

from dataclasses import dataclass

from tests.torture.attack import ATTACKS
from tests.torture.bad_disks import disk_fills_up, file_is_locked
from tests.torture.bad_files import bad_files_are_refused
from tests.torture.bulk_expiry import expire_in_bulk
from tests.torture.cells_killed import FULL_ROUNDS, cells_survive_kills
from tests.torture.endings import ended_by_a_signal, sleeps_for_long
from tests.torture.event_kills import events_survive_kills_on_nats, events_survive_kills_on_rabbitmq
from tests.torture.failovers import postgres_fails_over
from tests.torture.kills import kill_the_server
from tests.torture.lost_commits import commits_lose_their_answer
from tests.torture.many_reservations import a_million_reservations
from tests.torture.postgres_away import postgres_falls, postgres_hangs
from tests.torture.power import power_is_cut
from tests.torture.rivals import sleeper_keeps_its_file, sleeper_wakes_after_a_takeover, two_start_together
from tests.torture.scenario import Scenario
from tests.torture.standbys import a_standby_takes_over, servers_are_restarted_in_turn
from tests.torture.tricky_ids import tricky_organizations_stay_apart
from tests.torture.under_attack import CORE, GRPC_AIO, attacked_by


@dataclass(frozen=True)
class Entry:
    """A scenario on a database; `rounds` in full, `rounds_short` in `make test` (0: it has a test of its own there)."""

    scenario: Scenario
    kind: str
    rounds: int
    rounds_short: int
    done: str
    checked: str

    def __str__(self) -> str:
        return f"{self.scenario.__name__} on {self.kind}"


KEPT = (
    "`stockkeeper check`; every acknowledged answer is there, line by line; what had none, asked again, happened once;"
    " repetitions are answered alike"
)
TAKES_CALLS_AWAY = "meanwhile health says NOT_SERVING and calls get UNAVAILABLE with RetryInfo; afterwards it serves;"

ATTACKED = (
    "no call of the bystander fails, its p99 stays under 100 ms, the server's memory under 600 MB and comes back within"
    " 30 s; it has 1 GB to spare; `stockkeeper check`"
)

PLAN = (
    Entry(kill_the_server, "SQLite", 30, 2, "kill -9 of the server under mixed load, restart", KEPT),
    Entry(kill_the_server, "Postgres", 30, 2, "kill -9 of the server under mixed load, restart", KEPT),
    Entry(
        postgres_falls,
        "Postgres",
        10,
        2,
        "kill -9 of all of Postgres and `pg_ctl stop -m immediate` in turn under load, start",
        f"{TAKES_CALLS_AWAY} {KEPT}",
    ),
    Entry(
        postgres_hangs,
        "Postgres",
        6,
        1,
        "SIGSTOP of all of Postgres under load, then SIGCONT (the server's patience cut from 10 s to 1 s)",
        f"{TAKES_CALLS_AWAY} {KEPT}",
    ),
    Entry(
        commits_lose_their_answer,
        "Postgres",
        50,
        5,
        "a proxy drops the answer to a COMMIT that has landed",
        "the call gets UNAVAILABLE, its retry finds the one reservation that landed; every fifth time under load:"
        f" {KEPT}",
    ),
    Entry(
        two_start_together,
        "SQLite",
        20,
        2,
        "two servers started at the same instant, on an empty database and on a used one",
        "one serves; the other exits with 3 and one sentence; `stockkeeper check`",
    ),
    Entry(
        two_start_together,
        "Postgres",
        20,
        2,
        "two servers started at the same instant, on an empty database and on a used one",
        "one serves; the other exits with 3 and one sentence; `stockkeeper check`",
    ),
    Entry(
        sleeper_wakes_after_a_takeover,
        "Postgres",
        9,
        1,
        "SIGSTOP of a server under load, its lock or all its connections ended or Postgres restarted, a successor"
        " changes its stock, calls queue at the sleeper, SIGCONT",
        "the sleeper answers none of the calls, reads and repetitions included, says why it ends and exits with 3;"
        f" {KEPT}",
    ),
    Entry(
        sleeper_keeps_its_file,
        "SQLite",
        5,
        1,
        "SIGSTOP of a server under load, start of another, SIGCONT",
        f"the other exits with 3 and one sentence, the sleeper goes on; {KEPT}",
    ),
    Entry(
        ended_by_a_signal,
        "SQLite",
        20,
        2,
        "SIGTERM and SIGINT in turn under mixed load and imports, restart",
        f"exit status 0, callers hear UNAVAILABLE and nothing else; {KEPT}",
    ),
    Entry(
        sleeps_for_long,
        "SQLite",
        3,
        1,
        "SIGSTOP of a server under load for 1 s and twice for 20 s, SIGCONT",
        f"no call fails; {KEPT}",
    ),
    *(
        Entry(
            tricky_organizations_stay_apart,
            kind,
            5,
            1 if kind == "SQLite" else 0,
            "46 organizations whose ids look alike or mean something to a database, each with 21 rows and orders of"
            " the same ids",
            "each finds its own rows, figures and reservations, and NOT_FOUND for those of another;"
            " `stockkeeper check`",
        )
        for kind in ("SQLite", "Postgres")
    ),
    Entry(
        a_million_reservations,
        "SQLite",
        20,
        1,
        "1,000,000 reservations that stay, in twenty steps",
        "memory grows by no fifth after the fifth step; all are there; `stockkeeper check`",
    ),
    Entry(
        a_standby_takes_over,
        "Postgres",
        15,
        3,
        "kill -9, SIGSTOP and a cut network of the owner in turn, under load, while another server stands by; then the"
        " old one is started again, woken, or heard again",
        "the standby serves, within 5 s where the machine has time; the other stands by from then on and answers none"
        f" of the calls that it had; {KEPT}",
    ),
    Entry(
        servers_are_restarted_in_turn,
        "Postgres",
        10,
        1,
        "SIGTERM of the owner and a new start, under load of a client that knows both servers",
        f"a call that fails after its retries is UNAVAILABLE; {KEPT}",
    ),
    Entry(
        postgres_fails_over,
        "Patroni",
        20,
        1,
        "three nodes of Postgres that Patroni keeps by an etcd, synchronous and strict, in network namespaces, under"
        " load of a client that knows two servers: kill -9 of the primary with its Patroni 10 times, its network cut 10"
        " times, every second time from the other nodes alone, while a server still reaches it",
        "another node is the primary, and a server serves on it; no call ends at its deadline; no server says that what"
        f" is acknowledged may be lost; {KEPT}",
    ),
    Entry(
        cells_survive_kills,
        "Postgres",
        FULL_ROUNDS,
        1,
        "three cells on one Postgres and two routers, under load for ten minutes: kill -9 of an owner, of a router, of"
        " all of Postgres, of all three at once, and of the program that moves, in turn, while it moves an organization"
        " to another cell",
        f"no call ends at its deadline, those that fail are UNAVAILABLE; {KEPT}, for each organization; the check is of"
        " all cells, and no organization is in two",
    ),
    Entry(
        disk_fills_up,
        "SQLite",
        6,
        1,
        "a real file system filled to the last byte under load, then room again",
        f"{TAKES_CALLS_AWAY} {KEPT}",
    ),
    Entry(
        file_is_locked,
        "SQLite",
        5,
        1,
        "another program holds BEGIN EXCLUSIVE under load for longer than SQLite waits",
        f"{TAKES_CALLS_AWAY} {KEPT}",
    ),
    Entry(
        bad_files_are_refused,
        "SQLite",
        3,
        1,
        "start on a file that cannot be served from, seven kinds",
        "exit status 1, one sentence that names the cause, no traceback",
    ),
    Entry(
        power_is_cut,
        "SQLite",
        20,
        0,
        "simulated power cuts, 50 with synchronous=FULL and 50 with NORMAL a round",
        "every table holds all acknowledged batches and no half of any",
    ),
    Entry(
        expire_in_bulk,
        "SQLite",
        3,
        1,
        "2,000, 60,000 and 200,000 reservations are due at one instant, while 1,000 a second are made",
        "each expires once, at the rate that README.md names; no call of the bystander fails, its p99 stays under"
        " 100 ms; `stockkeeper check`",
    ),
    *(
        Entry(
            scenario,
            "SQLite",
            1,
            0,  # tests/events/test_relay_program.py does it with fewer kills
            f"kill -9 of relay and consumer 20 times each, of {broker} 10 times and of the server 5 times, under a real"
            " day's orders and others that come by call and as events",
            "every event of the list is heard, in order, and rebuilds every row and every reservation; each order that"
            " came as an event met its fate once; expiries are told as `timeout`; `stockkeeper check`",
        )
        for broker, scenario in (
            ("RabbitMQ", events_survive_kills_on_rabbitmq),
            ("NATS", events_survive_kills_on_nats),
        )
    ),
    *(
        Entry(attacked_by(name, transport), kind, 1, 0, f"attack: {' '.join((attack.__doc__ or '').split())}", ATTACKED)
        for transport, kind in ((CORE, "SQLite"), (GRPC_AIO, "SQLite, grpc-aio"))
        for name, attack in ATTACKS.items()
    ),
)
