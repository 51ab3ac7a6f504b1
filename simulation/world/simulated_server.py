"""One process that serves: the real supervisor on a faulty store, which can be killed at any moment."""

from collections.abc import Callable, Coroutine
from functools import partial
from random import Random
from typing import Any

import anyio
from anyio.abc import TaskStatus

from actors.actor import Runnable, StartSoon
from actors.exceptions import leaves
from actors.row_changes import Levels
from actors.stock_actor import StockActor
from simulation.disks.faulty_store import FaultyStore
from simulation.faults import Options
from storage.store import OwnershipLost, StorageError
from supervisor.background.housekeeping import Housekeeping
from supervisor.clock import ServiceClock
from supervisor.incarnation import Sources
from supervisor.limits import Limits
from supervisor.supervisor import Supervisor


class InjectedCrash(Exception):
    """A bug in an actor that the seed wanted."""


class SeededDispatcher:
    """Takes a turn on the caller's stack, or in a task, now or late, as the seed says.

    A turn on the stack leaves no moment in which a hold is undecided and another task runs. A task does, and messages
    queue behind a late one. Production begins every turn on the stack.
    """

    def __init__(self, start_soon: StartSoon, random: Random, options: Options, is_calm: Callable[[], bool]) -> None:
        self._start_soon = start_soon
        self._random = random
        self._options = options
        self._is_calm = is_calm
        self._slow_rows = 0

    def __repr__(self) -> str:
        return f"<SeededDispatcher {self._options.dispatch} slow_rows={self._slow_rows}>"

    def begins_inline(self, actor: Runnable) -> bool:
        """Rows do so more often while some row is slow: the orders that wait for it hold other rows then."""
        coin, options = self._random.random(), self._options
        if not isinstance(actor, StockActor):
            return coin < options.inline_orders
        return coin < (
            options.inline_rows if self._slow_rows or options.dispatch == "inline" else options.inline_rows / 4
        )

    def dispatch(self, actor: Runnable) -> None:
        coin, options, is_row = self._random.random, self._options, isinstance(actor, StockActor)
        is_crash = is_row and not self._is_calm() and coin() < options.actor_crash
        drain: Callable[[], Coroutine[Any, Any, None]] = partial(_crash, actor) if is_crash else actor.drain
        if is_row and options.dispatch == "inline":
            _run_now(drain())
        elif not is_crash and not self._is_calm() and options.slow_turns and coin() < options.slow_turns:
            self._start_soon(partial(self._drain_late, actor, coin() * options.slow_turn_s, is_row))
        elif is_row and options.dispatch == "mixed" and coin() >= options.late_coin:
            _run_now(drain())
        else:
            self._start_soon(drain)

    async def _drain_late(self, actor: Runnable, delay_s: float, is_row: bool) -> None:
        self._slow_rows += is_row
        try:
            await anyio.sleep(delay_s)
        finally:
            self._slow_rows -= is_row
        await actor.drain()


def _run_now(turn_of_row: Coroutine[Any, Any, None]) -> None:
    """Run a row's turn on this stack: it never suspends."""
    try:
        turn_of_row.send(None)
    except StopIteration:
        return
    raise AssertionError(f"{turn_of_row!r} suspended")


async def _crash(actor: Runnable) -> None:
    assert isinstance(actor, StockActor)
    if actor._mailbox:
        reply = actor._mailbox.popleft().reply
        reply.fail(actor._crash(InjectedCrash()))
    await actor.drain()


class ExpectedTime:
    """What service time must be, computed a second time: the service's clock is compared with it."""

    def __init__(self, wall_ms: Callable[[], int], now_s: Callable[[], float]) -> None:
        self._wall_ms = wall_ms
        self._now_s = now_s
        self._start_ms = 0
        self._start_s = now_s()

    def __repr__(self) -> str:
        return f"<ExpectedTime now_ms={self.now_ms()}>"

    def start(self, last_at_ms: int) -> None:
        self._start_ms = max(self._wall_ms(), last_at_ms, self.now_ms())
        self._start_s = self._now_s()

    def now_ms(self) -> int:
        return self._start_ms + int((self._now_s() - self._start_s) * 1_000)

    def monotonic_s_at(self, at_ms: int) -> float:
        """The monotonic time at which service time is `at_ms`."""
        return self._start_s + (at_ms - self._start_ms) / 1_000


class _Once(TaskStatus[None]):
    def __init__(self, status: TaskStatus[None]) -> None:
        self._status = status
        self._is_told = False

    def __repr__(self) -> str:
        return f"<_Once {'told' if self._is_told else 'not told yet'}>"

    def started(self, value: None = None) -> None:
        if not self._is_told:
            self._is_told = True
            self._status.started()


class SimulatedServer:
    """A process.

    Args:
        name: tells it from the other processes of this run.
        store: its access to the disk.
        options: bounds and faults.
        wall_ms: the wall clock.
        now_s: the monotonic one.
        new_id: fresh ids.
        is_calm: whether nothing may go wrong any more.
        fail: called with a sentence when the service meets a bug.
        note: called with what happens, for people.
    """

    def __init__(
        self,
        name: str,
        store: FaultyStore,
        options: Options,
        wall_ms: Callable[[], int],
        now_s: Callable[[], float],
        new_id: Callable[[], str],
        is_calm: Callable[[], bool],
        fail: Callable[[str], None],
        note: Callable[[str], None],
    ) -> None:
        self.name = name
        self.store = store
        self.time = ExpectedTime(wall_ms, now_s)
        store.opened = lambda ownership: self.time.start(ownership.last_at_ms)
        self.is_dead = False
        self.ended = anyio.Event()
        self._scope = anyio.CancelScope()
        self._fail = fail
        self._note = note
        random = Random(f"{name}/dispatch")
        sources = Sources(
            clock=ServiceClock(wall_ms, now_s),
            new_id=new_id,
            report_crash=self._report_crash,
            dispatcher=lambda start_soon: SeededDispatcher(start_soon, random, options, is_calm),
        )
        self.supervisor = Supervisor(store, sources, limits_of(options), self._on_serving, self._report)

    def __repr__(self) -> str:
        return f"<SimulatedServer {self.name} {self.supervisor!r}{' dead' if self.is_dead else ''}>"

    @property
    def serving(self) -> bool:
        return self.supervisor.serving and not self.is_dead

    @property
    def calls_under_way(self) -> int:
        """Commands that are under way, even if their callers have gone."""
        statistics = self.supervisor.statistics()
        return statistics.calls_under_way if statistics is not None else 0

    @property
    def _is_of_no_account(self) -> bool:
        """Whether its bugs do not count: it is dead, or it was driven out and reads what another process writes."""
        return self.is_dead or self.store.is_superseded

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Live until stopped, killed or driven out. `task_status` is told of a start even if the process dies first."""
        once = _Once(task_status)
        try:
            with self._scope:
                while not self.is_dead:
                    try:
                        await self.supervisor.run(task_status=once)
                        break
                    except OwnershipLost:
                        self._note(f"{self.name} lost the database and exits")
                        break
                    except StorageError:
                        # The database was down when the process started: its supervisor starts it again.
                        await anyio.sleep(0.1)
        except* Exception:  # a cancellation that comes with it passes
            if not self.is_dead:  # no one hears what a process says while it is being killed
                raise
        finally:
            self.is_dead = True
            self.ended.set()
            once.started()

    def kill(self) -> None:
        """Kill it as by kill -9: nothing more reaches the disk or a caller. Its tasks are cancelled soon after."""
        if not self.is_dead:
            self.is_dead = True
            self.store.cut()
            self._scope.cancel()

    def _on_serving(self, serving: bool) -> None:
        if not self.is_dead:
            self._note(f"{self.name} {'serves' if serving else 'does not serve'}")

    def _report(self, error: BaseException) -> None:
        bugs = [cause for cause in leaves(error) if not isinstance(cause, StorageError)]
        if bugs and not self._is_of_no_account:
            self._fail(f"a bug ended an incarnation: {bugs[0]!r}")

    def _report_crash(self, actor: object, error: Exception) -> None:
        is_expected = isinstance(error, InjectedCrash)
        if isinstance(actor, Housekeeping):
            is_expected = isinstance(error, StorageError)  # its next step does the same again
        if not self._is_of_no_account and not is_expected:
            self._fail(f"{actor!r} crashed: {error!r}")


def limits_of(options: Options) -> Limits:
    return Limits(
        calls_max=options.calls,
        mailbox_messages_max=options.mailbox,
        variants_max=options.variants_in_memory,
        orders_max=options.orders_in_memory,
        requests_max=options.orders_in_memory,
        idle_timeout_s=options.idle_timeout_s,
        heartbeat_s=options.heartbeat_s,
        stall_s=4 * options.heartbeat_s,
        levels=Levels(*options.default_levels),
        keep_days=options.keep_s,  # for the simulation's housekeeping a day is a second
    )
