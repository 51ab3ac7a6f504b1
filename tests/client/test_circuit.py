"""The breaker alone: no event loop, no gRPC, a clock that stands until it is moved."""

from typing import Any

import pytest
from stockkeeper_client import CircuitBreaker, CircuitOpenError, CircuitState


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(failure_threshold=3, open_s=60.0, clock=clock)


def state(breaker: CircuitBreaker) -> CircuitState:
    """Read anew each time: a type checker takes what an attribute was for what it is."""
    return breaker.state


def fail(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        breaker.admit().failed()


def test_opens_after_the_threshold_and_says_for_how_long(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 2)
    assert state(breaker) is CircuitState.CLOSED
    fail(breaker, 1)
    assert state(breaker) is CircuitState.OPEN
    clock.now_s += 45.0
    with pytest.raises(CircuitOpenError) as caught:
        breaker.admit()
    assert caught.value.retry_after_s == pytest.approx(15.0)


def test_only_failures_in_a_row_open_it(breaker: CircuitBreaker) -> None:
    fail(breaker, 2)
    breaker.admit().succeeded()
    fail(breaker, 2)
    assert state(breaker) is CircuitState.CLOSED
    assert breaker.failures == 2


def test_lets_exactly_one_probe_through_when_its_time_is_over(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now_s += 60.0
    assert state(breaker) is CircuitState.HALF_OPEN
    breaker.admit()
    for _ in range(10):
        with pytest.raises(CircuitOpenError) as caught:
            breaker.admit()
        assert caught.value.retry_after_s > 0


def test_closes_when_the_probe_succeeds(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now_s += 60.0
    breaker.admit().succeeded()
    assert state(breaker) is CircuitState.CLOSED
    fail(breaker, 2)
    assert state(breaker) is CircuitState.CLOSED


def test_opens_for_the_whole_time_again_when_the_probe_fails(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now_s += 60.0
    breaker.admit().failed()
    clock.now_s += 59.0
    with pytest.raises(CircuitOpenError):
        breaker.admit()
    clock.now_s += 1.0
    breaker.admit()


def test_a_probe_that_is_given_up_makes_room_for_another(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now_s += 60.0
    breaker.admit().abandoned()
    assert state(breaker) is CircuitState.HALF_OPEN
    breaker.admit().succeeded()
    assert state(breaker) is CircuitState.CLOSED


def test_a_call_that_is_given_up_counts_as_neither(breaker: CircuitBreaker) -> None:
    fail(breaker, 2)
    breaker.admit().abandoned()
    assert breaker.failures == 2
    fail(breaker, 1)
    assert state(breaker) is CircuitState.OPEN


def test_only_the_first_report_of_a_call_counts(breaker: CircuitBreaker) -> None:
    permit = breaker.admit()
    permit.failed()
    permit.failed()
    permit.succeeded()
    permit.abandoned()
    assert breaker.failures == 1


@pytest.mark.parametrize("report", ["succeeded", "failed", "abandoned"])
def test_stragglers_from_before_it_opened_change_nothing(breaker: CircuitBreaker, clock: Clock, report: str) -> None:
    stragglers = [breaker.admit() for _ in range(5)]
    fail(breaker, 3)
    getattr(stragglers[0], report)()
    assert state(breaker) is CircuitState.OPEN

    clock.now_s += 60.0
    probe = breaker.admit()
    getattr(stragglers[1], report)()
    with pytest.raises(CircuitOpenError):
        breaker.admit()

    probe.succeeded()
    for straggler in stragglers[2:]:
        getattr(straggler, report)()
    assert state(breaker) is CircuitState.CLOSED
    assert breaker.failures == 0


def test_the_probe_that_is_given_up_late_does_not_free_the_next_probe_s_place(
    breaker: CircuitBreaker, clock: Clock
) -> None:
    fail(breaker, 3)
    clock.now_s += 60.0
    first = breaker.admit()
    first.abandoned()
    breaker.admit()
    first.abandoned()
    with pytest.raises(CircuitOpenError):
        breaker.admit()


@pytest.mark.parametrize("arguments", [{"failure_threshold": 0}, {"open_s": 0.0}, {"open_s": float("nan")}])
def test_limits_have_to_be_positive(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="positive"):
        CircuitBreaker(**arguments)


def test_its_repr_tells_the_state(breaker: CircuitBreaker) -> None:
    fail(breaker, 3)
    assert repr(breaker) == "<CircuitBreaker open failures=3/3>"


def test_its_statistics_count_what_it_refused_and_how_often_it_opened(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 3)
    for _ in range(2):
        with pytest.raises(CircuitOpenError):
            breaker.admit()
    clock.now_s += 60.0
    probe = breaker.admit()
    with pytest.raises(CircuitOpenError):
        breaker.admit()
    probe.failed()
    assert breaker.statistics() == (4, 2, 3)
