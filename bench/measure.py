"""One round: the same callers against one system, and what it cost."""

import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from stockkeeper_client.v1 import inventory_pb2 as pb

from bench.generator import CONNECTIONS, Call, Outcome, drive
from bench.orders import Workload
from bench.processes import cpu_s
from bench.streams import drive_streams
from bench.systems import Running

RATE_MAX, STREAM_RATE_MAX = 20_000, 60_000
Figures = Mapping[str, float]


@dataclass(frozen=True)
class Pace:
    """How long and how often is measured.

    Args:
        round_s: of one system with one workload.
        rounds: how often the systems take turns; medians are reported.
        warm_up_s: before the first round, not counted.
        long_run: reservations of the long run.
        many_rows: stock rows of the large file.
    """

    round_s: float
    rounds: int
    warm_up_s: float
    long_run: int
    many_rows: int


FULL = Pace(round_s=3.0, rounds=4, warm_up_s=1.0, long_run=200_000, many_rows=1_000_000)
QUICK = Pace(round_s=1.0, rounds=1, warm_up_s=0.3, long_run=5_000, many_rows=50_001)


class Contestant:
    """A system with a workload, round after round.

    Args:
        running: the system.
        prepare: makes the given number of calls, numbered by the system.
        workload: makes the orders; None for calls that reserve nothing.
        callers: how many callers there are.
        connections: how many connections they share.
        streamed: whether the calls go over the bidirectional stream, which has a number of callers of its own.
    """

    def __init__(
        self,
        running: Running,
        prepare: Callable[[int], Sequence[Call]],
        workload: Workload | None = None,
        *,
        callers: int,
        connections: int = CONNECTIONS,
        streamed: bool = False,
    ) -> None:
        self.running = running
        self._prepare = prepare
        self._workload = workload
        self._callers = callers
        self._connections = connections
        self._streamed = streamed
        self._rate = 0.0
        self.rounds: list[Figures] = []

    def __repr__(self) -> str:
        return f"<Contestant {self.running.name} rounds={len(self.rounds)}>"

    def round(self, duration_s: float, *, counted: bool = True) -> Outcome:
        """Drive the system for one round.

        Args:
            duration_s: how long calls are made.
            counted: whether the round counts; a warm-up does not.

        Raises:
            AssertionError: a call was not answered as it should be.
        """
        # Twice the rate of the last round is enough; before the first round there is none.
        rate_max = STREAM_RATE_MAX if self._streamed else RATE_MAX
        rate = min(rate_max, self._rate * 2) if self._rate else rate_max
        calls = self._prepare(int(rate * duration_s) + self._callers)
        cpu, server_cpu = cpu_s(self.running.pids), cpu_s([self.running.server.pid])
        outcome = self._drive(calls, duration_s)
        cpu, server_cpu = cpu_s(self.running.pids) - cpu, cpu_s([self.running.server.pid]) - server_cpu
        assert set(outcome.statuses) == {0}, (self.running.name, outcome.statuses)
        if self._workload is not None:
            self.running.accepted.append((self._workload, outcome.accepted))
            self.running.released.append((self._workload, outcome.released))
            if self.running.held is not None:
                _check_answers(self._workload, calls, outcome)
        self._rate = outcome.calls_per_s
        if counted:
            thousands = outcome.calls / 1_000
            self.rounds.append(
                {
                    "calls": outcome.calls,
                    "calls_per_s": outcome.calls_per_s,
                    "p50_ms": outcome.latency_ms(0.5),
                    "p99_ms": outcome.latency_ms(0.99),
                    "cpu_s_per_1000": cpu / thousands,
                    "server_cpu_s_per_1000": server_cpu / thousands,
                    "client_cpu_s_per_1000": outcome.client_cpu_s / thousands,
                }
            )
        return outcome

    def _drive(self, calls: Sequence[Call], duration_s: float) -> Outcome:
        port = self.running.server.port
        if self._streamed:
            return drive_streams(port, calls, duration_s=duration_s)
        return drive(port, calls, callers=self._callers, duration_s=duration_s, connections=self._connections)

    def medians(self) -> dict[str, float]:
        """The median of each figure over the rounds, and the sum of the calls."""
        found = {name: statistics.median(one[name] for one in self.rounds) for name in self.rounds[0]}
        found["calls"] = sum(one["calls"] for one in self.rounds)
        found["calls_per_s_min"] = min(one["calls_per_s"] for one in self.rounds)
        found["calls_per_s_max"] = max(one["calls_per_s"] for one in self.rounds)
        return {name: round(value, 4) for name, value in found.items()}


def _check_answers(workload: Workload, calls: Sequence[Call], outcome: Outcome) -> None:
    """Check that each kept answer names a reservation, and in it the pieces that were ordered."""
    for token, message in outcome.answers:
        number = calls[token].number
        if number >= 0:
            answer = pb.ReserveStockResponse.FromString(message)
            assert answer.reservation_id
            reserved: Counter[str] = Counter()
            for item in answer.reserved_items:
                reserved[item.variant_id] += item.stock_before - item.stock_after
            assert reserved == workload.taken([number]), (number, answer)


def reserving(
    running: Running, workload: Workload, *, callers: int, connections: int = CONNECTIONS, streamed: bool = False
) -> Contestant:
    """Orders of a workload."""
    return Contestant(
        running,
        lambda count: workload.calls(running.numbers(count)),
        workload,
        callers=callers,
        connections=connections,
        streamed=streamed,
    )


def take_turns(contestants: Mapping[str, Contestant], pace: Pace) -> dict[str, dict[str, float]]:
    """All contestants, one after the other, round by round. Returns the medians of each."""
    for contestant in contestants.values():
        contestant.round(pace.warm_up_s, counted=False)
    for _ in range(pace.rounds):
        for contestant in contestants.values():
            contestant.round(pace.round_s)
    return {name: contestant.medians() for name, contestant in contestants.items()}
