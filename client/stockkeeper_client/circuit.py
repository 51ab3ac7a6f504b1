"""A circuit breaker: while the service fails, callers are told at once instead of after a deadline each.

    closed ──── failure_threshold failures in a row ───▶ open
    open ────── open_s later ──────────────────────────▶ half_open
    half_open ─ the probe succeeds ────────────────────▶ closed
    half_open ─ the probe fails ───────────────────────▶ open

It is a state machine and nothing else: no I/O, no task, no timer, and the clock is an argument. `admit` decides
and returns a permit; the caller tells the permit how the call went. A permit belongs to the state it was given in,
so stragglers do no harm: a call that started before the breaker opened, and fails after it closed again, says
nothing of the service as it is now. Turned down: a wrapper that awaits the call itself, as most breakers do. Its
state is spread over awaits, and it lets through, as a probe, every call that comes before the first is answered.

Thread-safe: clients on several threads and event loops may share one. A child after a fork has one of its own, in
the state of that moment.
"""

import threading
import time
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

_PROBE_PATIENCE_S = 1.0


class CircuitState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class CircuitOpenError(Exception):
    """The call was not made: the service failed lately.

    `retry_after_s`, in seconds, is when a call may be made again. While a probe is under way that is unknown: then it
    is a second, or less if the breaker opens for less.
    """

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"Inventory service unavailable, circuit breaker is open: retry in {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


class Permit:
    """Leave to make one call. Exactly one of the three methods counts, the first that is called."""

    def __init__(self, breaker: "CircuitBreaker", period: int) -> None:
        self._breaker = breaker
        self._period = period
        self._settled = False

    def __repr__(self) -> str:
        return f"<Permit {'settled' if self._settled else 'in use'} of {self._breaker}>"

    def succeeded(self) -> None:
        """The service answered, be it with a refusal."""
        self._report(self._breaker._on_success)

    def failed(self) -> None:
        """The service did not answer, or answered that it is broken."""
        self._report(self._breaker._on_failure)

    def abandoned(self) -> None:
        """The caller gave up, which tells nothing of the service. A probe's place becomes free for the next caller."""
        self._report(self._breaker._on_abandon)

    def _report(self, happened: Callable[[], None]) -> None:
        if self._settled:
            return
        self._settled = True
        with self._breaker._lock:
            if self._period == self._breaker._period:
                happened()


class CircuitStatistics(NamedTuple):
    """What a breaker has seen: failures in a row until now, how often it opened, and how many calls it refused."""

    failures: int
    times_opened: int
    calls_refused: int


class CircuitBreaker:
    """Opens after `failure_threshold` failures in a row, and lets one call through after `open_s` seconds.

    `clock` returns seconds and never goes back. Raises ValueError for a threshold or a time that is not positive.

    >>> breaker = CircuitBreaker(failure_threshold=1)
    >>> breaker.admit().failed()
    >>> breaker
    <CircuitBreaker open failures=1/1>
    """

    def __init__(
        self, failure_threshold: int = 5, open_s: float = 60.0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if failure_threshold < 1 or not open_s > 0:
            raise ValueError(f"{failure_threshold=} and {open_s=} have to be positive")
        self.failure_threshold = failure_threshold
        self.open_s = open_s
        self._clock = clock
        self._failures = 0
        self._opened_at_s: float | None = None
        self._probing = False
        # Counts the state changes: a report on a call that began in an earlier period does not count.
        self._period = 0
        self._opened = 0
        self._refused = 0
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<CircuitBreaker {self.state} failures={self._failures}/{self.failure_threshold}>"

    def statistics(self) -> CircuitStatistics:
        return CircuitStatistics(self._failures, self._opened, self._refused)

    @property
    def state(self) -> CircuitState:
        opened_at_s = self._opened_at_s
        if opened_at_s is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if self._remaining_s(opened_at_s) > 0 else CircuitState.HALF_OPEN

    @property
    def failures(self) -> int:
        """Failures since the last success."""
        return self._failures

    def admit(self) -> Permit:
        """Leave to make a call now. Raises CircuitOpenError if there is none."""
        with self._lock:
            if self._opened_at_s is not None:
                remaining_s = self._remaining_s(self._opened_at_s)
                if remaining_s > 0 or self._probing:
                    self._refused += 1
                    raise CircuitOpenError(remaining_s if remaining_s > 0 else min(_PROBE_PATIENCE_S, self.open_s))
                self._probing = True
            return Permit(self, self._period)

    def before_fork(self) -> None:
        """No other thread is in the middle of a change while the child is made."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """The calls under way are the parent's. A probe among them would never be settled here."""
        self._lock = threading.Lock()
        self._probing = False

    def _remaining_s(self, opened_at_s: float) -> float:
        return opened_at_s + self.open_s - self._clock()

    def _on_success(self) -> None:
        self._failures = 0
        if self._opened_at_s is not None:
            self._opened_at_s = None
            self._enter_period()

    def _on_failure(self) -> None:
        self._failures += 1
        if self._opened_at_s is not None or self._failures >= self.failure_threshold:
            self._opened_at_s = self._clock()
            self._opened += 1
            self._enter_period()

    def _on_abandon(self) -> None:
        self._probing = False

    def _enter_period(self) -> None:
        self._probing = False
        self._period += 1
