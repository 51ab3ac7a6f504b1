"""Calls of several kinds: checks, and the mix of an Order Service's day."""

from collections.abc import Sequence

from stockkeeper_client.v1 import inventory_pb2 as pb

from bench.generator import CONNECTIONS, Call, drive
from bench.measure import Contestant
from bench.orders import Workload, check_calls, confirm_call, release_call
from bench.systems import Running

# Of every hundred calls. Their order is a fixed one in which the kinds alternate.
RESERVES, CONFIRMS, RELEASES = 20, 7, 3
PATTERN_STEP = 37  # has no divisor in common with 100


def checking(running: Running, rows: int, *, callers: int) -> Contestant:
    """CheckAvailability only, over the given number of rows."""
    return Contestant(running, lambda count: check_calls(range(count), rows), callers=callers)


def mixed(running: Running, workload: Workload, *, callers: int) -> Contestant:
    """70 % checks, 20 % reservations, 7 % confirmations and 3 % releases of reservations made before the round."""

    def prepare(count: int) -> Sequence[Call]:
        kinds = [position * PATTERN_STEP % 100 for position in range(count)]
        confirms = sum(RESERVES <= kind < RESERVES + CONFIRMS for kind in kinds)
        releases = sum(RESERVES + CONFIRMS <= kind < RESERVES + CONFIRMS + RELEASES for kind in kinds)
        made = _make(running, workload, confirms + releases, callers)
        numbers = iter(running.numbers(count * RESERVES // 100 + RESERVES))
        calls: list[Call] = []
        for position, kind in enumerate(kinds):
            if kind < RESERVES:
                calls += workload.calls([next(numbers)])
            elif kind < RESERVES + CONFIRMS:
                calls.append(confirm_call(*made.pop()))
            elif kind < RESERVES + CONFIRMS + RELEASES:
                reservation_id, number = made.pop()
                calls.append(release_call(reservation_id, number))
            else:
                calls += check_calls([position], workload.rows)
        return calls

    return Contestant(running, prepare, workload, callers=callers)


def _make(running: Running, workload: Workload, count: int, callers: int) -> list[tuple[str, int]]:
    """Reservations to confirm or release: their ids and the numbers of their orders."""
    calls = workload.calls(running.numbers(count))
    outcome = drive(running.server.port, calls, callers=callers, connections=CONNECTIONS, keep_every=1)
    assert set(outcome.statuses) <= {0}, outcome.statuses
    running.accepted.append((workload, outcome.accepted))
    return [
        (pb.ReserveStockResponse.FromString(message).reservation_id, calls[token].number)
        for token, message in outcome.answers
    ]
