"""A world with relays: two processes of the real relay, which are killed, and a broker that fails in its own ways.

The broker loses connections in the middle of a stretch, confirms late or not at all, and delivers twice. What it has is
kept in `Queue`, in the order in which it came, with the process that sent it.
"""

from collections.abc import Sequence
from functools import partial
from random import Random
from typing import TypeVar

import anyio
from msgspec import Struct
from msgspec.structs import replace

from actors.changes import Point
from actors.exceptions import leaves
from actors.history_feed import CursorRecord, FeedPage
from actors.queries import MoveCursor, Query, ReadFeed, TakeCursor
from actors.unavailable import Unavailable
from events.broker_port import BrokerLost
from events.envelope import Outgoing
from events.feed_port import CursorLost, FeedAway, Held, Progress
from events.relay import Relay, RelayOptions
from simulation.faults import Options
from simulation.world.simulated_run import SimulatedRun
from simulation.world.simulated_world import QUIET_S_MAX

V = TypeVar("V")

DEADLINE_S = 5.0
LAST_WAIT_S = 12.0  # longer than a relay waits for something to happen
RELAYS = 2
NAME = "relay"
OPTIONS = RelayOptions(NAME, "cloudevents", in_flight_max=7, rows_max=5, move_s=0.3, gather_s=0.02)


class Queued(Struct, frozen=True):
    """A message as the broker has it.

    Args:
        process: of the relay that sent it.
        fence: that its cursor had.
    """

    message: Outgoing
    process: str
    fence: int
    at_s: float


class RelayFaults(Struct, frozen=True):
    """What goes wrong between relays, inventory and broker: probabilities, and how often a relay is killed.

    Args:
        lost: of a stretch, that the connection breaks in its middle.
        unconfirmed: that it arrives and its confirm does not.
        late: that its messages are taken slowly, and that its confirm takes up to three seconds.
        twice: of a message, that it is delivered twice.
        silent: of a call to the inventory, that its answer is lost; an eighth of it, that the relay is cut off.
        kills: of relays.
    """

    lost: float
    unconfirmed: float
    late: float
    twice: float
    silent: float
    kills: int


def suited(options: Options) -> Options:
    """What suits a world with relays: they look and say that they are there all the time, and so it must be short."""
    short = {"think_s": min(options.think_s, 1.0), "operations": min(options.operations, 10)}
    return replace(options, relayed=True, keep_s=0, **short)


def relay_faults(seed: str) -> RelayFaults:
    random = Random(f"{seed}/relays")
    lost, unconfirmed, late, twice, silent = [random.choice((0.0, 0.1, 0.4)) for _ in range(5)]
    return RelayFaults(lost, unconfirmed, late, twice, silent, random.choice((0, 2, 6)))


class SimulatedQueue:
    """What the broker has, from its first message on."""

    def __init__(self) -> None:
        self.messages: list[Queued] = []

    def __repr__(self) -> str:
        return f"<SimulatedQueue messages={len(self.messages)}>"


class SimulatedBroker:
    """`Broker`, as one process has it."""

    def __init__(self, world: "RelayedRun", feed: "CoreFeed", random: Random) -> None:
        self._world = world
        self._feed = feed
        self._random = random
        self._is_open = False

    def __repr__(self) -> str:
        return f"<SimulatedBroker of {self._feed.process} open={self._is_open}>"

    @property
    def name(self) -> str:
        return "the broker"

    async def open(self) -> None:
        await anyio.sleep(self._random.random() * 0.05)
        if self._faults and self._random.random() < self._faults.lost / 2:
            raise BrokerLost("the broker refuses the connection")
        self._is_open = True

    async def publish(self, messages: Sequence[Outgoing]) -> int:
        if not self._is_open:
            raise BrokerLost("not connected")
        faults, coin = self._faults, self._random.random
        breaks_at = int(coin() * len(messages)) if faults and coin() < faults.lost else len(messages)
        slow_s = 1.5 if faults and coin() < faults.late else 0.01
        for number, message in enumerate(messages):
            if number == breaks_at:
                raise BrokerLost("the connection is lost")
            if coin() < 0.4:
                await anyio.sleep(coin() * slow_s)
            self._keep(message)
            if faults and coin() < faults.twice:
                self._keep(message)
        if faults and coin() < faults.unconfirmed:
            raise BrokerLost("no confirm")
        await anyio.sleep(coin() * (3.0 if faults and coin() < faults.late else 0.01))
        return 0

    def _keep(self, message: Outgoing) -> None:
        if not self._feed.is_dead:
            queued = Queued(message, self._feed.process, self._feed.fence, anyio.current_time())
            self._world.queue.messages.append(queued)

    async def close(self) -> None:
        self._is_open = False

    @property
    def _faults(self) -> RelayFaults | None:
        return None if self._world.is_calm else self._world.relay_faults


class CoreFeed:
    """`HistoryFeed` straight on the core of the server that serves, for one process."""

    def __init__(self, world: "RelayedRun", process: str, random: Random) -> None:
        self._world = world
        self.process = process
        self._random = random
        self.fence = 0
        self.is_dead = False
        self._cut_off_until_s = 0.0

    def __repr__(self) -> str:
        return f"<CoreFeed of {self.process} fence={self.fence} dead={self.is_dead}>"

    async def take(self, name: str, begin: str) -> Held:
        answer = await self._ask(TakeCursor("", name, Point(0) if begin else None))
        cursor = self._held(answer.cursor)
        self.fence = cursor.fence
        return Held(cursor.name, cursor.fence, cursor.point, answer.lease_ms / 1_000, answer.database_id)

    async def move(self, held: Held, progress: Progress) -> None:
        told = (progress.published, progress.unroutable, progress.rate, progress.problem, progress.is_release)
        self._held((await self._ask(MoveCursor("", held.name, held.fence, progress.point, *told))).cursor)

    async def read(self, after: Point, rows_max: int, wait_ms: int) -> FeedPage:
        return await self._ask(ReadFeed("", after, 0, rows_max, wait_ms), wait_ms / 1_000)

    def _is_cut_off(self) -> bool:
        """Now and then no word of this process reaches a server for some seconds."""
        faults, now_s = self._world.relay_faults, anyio.current_time()
        if self._world.is_calm:
            return False
        if now_s > self._cut_off_until_s and self._random.random() < faults.silent / 8:
            self._cut_off_until_s = now_s + self._random.random() * 10.0
        return now_s < self._cut_off_until_s

    def _held(self, cursor: CursorRecord | None) -> CursorRecord:
        if cursor is None:
            raise CursorLost("another relay has it")
        return cursor

    async def _ask(self, query: Query[V], wait_s: float = 0.0) -> V:
        await anyio.sleep(self._random.random() * 0.01)
        server = self._world._reached()
        if self.is_dead or server is None or self._is_cut_off():
            raise FeedAway("no server")
        with anyio.move_on_after(DEADLINE_S + wait_s):
            try:
                answer = await server.supervisor.answer(query).wait()
            except Unavailable as error:
                raise FeedAway(error.reason) from error
            if server.is_dead or self.is_dead:
                raise FeedAway("the connection is lost")
            if not self._world.is_calm and self._random.random() < self._world.relay_faults.silent:
                await anyio.sleep(self._random.random() * DEADLINE_S)
                raise FeedAway("no answer")
            return answer
        raise FeedAway("no answer in time")


class RelayedRun(SimulatedRun):
    """A world with simulated clients, and relays that pass on what these do."""

    queue: SimulatedQueue
    relay_faults: RelayFaults
    _relays: anyio.CancelScope

    async def chaos(self) -> None:
        """As every world's, while relays are killed and begin again."""
        self.queue, self.relay_faults = SimulatedQueue(), relay_faults(self.seed)
        self._relays = anyio.CancelScope()
        self._tasks.start_soon(self._keep_relays)
        await super().chaos()

    async def heal(self) -> None:
        """As every world's; then all that happened must be passed on."""
        await super().heal()
        with anyio.move_on_after(QUIET_S_MAX) as patience:
            while self.cursor_lsn < self.disk.last_lsn:  # noqa: ASYNC110 - a disk does not tell
                await anyio.sleep(0.5)
        self._relays.cancel()
        await anyio.sleep(LAST_WAIT_S)  # what was asked and given up is finished by the core
        if patience.cancelled_caught:
            self.fail(
                "events arrive", f"the cursor stands at {self.cursor_lsn}, and the journal ends at {self.disk.last_lsn}"
            )

    @property
    def cursor_lsn(self) -> int:
        cursor = self.disk.cursors.get(NAME)
        return 0 if cursor is None else cursor.point.lsn

    async def _keep_relays(self) -> None:
        with self._relays:
            async with anyio.create_task_group() as places:
                for place in range(RELAYS):
                    places.start_soon(self._keep_relay, place)

    async def _keep_relay(self, place: int) -> None:
        """One process after another in this place."""
        random, options = Random(f"{self.seed}/relay/{place}"), OPTIONS
        kills, number = self.relay_faults.kills, 0
        while True:
            number += 1
            feed = CoreFeed(self, f"relay-{place}-{number}", Random(f"{self.seed}/relay/{place}/{number}/feed"))
            broker = SimulatedBroker(self, feed, Random(f"{self.seed}/relay/{place}/{number}/broker"))
            begin = replace(options, begin="" if self.disk.cursors else "beginning")
            with anyio.CancelScope() as life:
                if number <= kills:
                    self._later(random.random() * 8.0, partial(self._kill_relay, feed, life))
                try:
                    await Relay(feed, broker, begin).run()
                except Exception as error:  # noqa: BLE001 - its process would end so
                    self.fail("no bug is met", f"a relay ends with {list(leaves(error))!r}")
            await anyio.sleep(random.random())

    def _kill_relay(self, feed: CoreFeed, life: anyio.CancelScope) -> None:
        if not self.is_calm:
            feed.is_dead = True
            life.cancel()
