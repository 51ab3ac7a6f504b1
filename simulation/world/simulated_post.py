"""A broker as a consumer has it: it delivers again what was not acknowledged, or twice, and loses connections.

What a lost connection had stands in the queue again, where it stood before.
"""

from collections.abc import Callable, Sequence
from random import Random

import anyio
from msgspec import Struct

from events.broker_port import BrokerLost
from events.envelope import Outgoing
from events.inbox_port import Delivery

PREFETCH = 5
START_MS = 1_790_000_000_000


class Posted(Struct, frozen=True):
    """A message that others have sent."""

    number: int
    body: bytes
    routing_key: str
    at_ms: int


class Buried(Struct, frozen=True):
    """A message that cannot succeed, as the consumer found."""

    body: bytes
    reason: str


class PostFaults(Struct, frozen=True):
    """What goes wrong between a consumer and its broker: probabilities, and how often a consumer is killed.

    Args:
        lost: of an exchange with the broker, that the connection breaks, before or after it had its effect.
        twice: of a message, that it is delivered again although it was acknowledged.
        killed: of an answer, a burial or an acknowledgement, that the consumer is killed just before it, or just after.
        fails: of a call to the inventory, that it meets a bug, before it is done or after.
        away: of a call to the inventory, that none reaches it for some seconds from then on.
        kills: of consumers, at any time.
    """

    lost: float
    twice: float
    killed: float
    fails: float
    away: float
    kills: int


def post_faults(seed: str) -> PostFaults:
    random = Random(f"{seed}/post")
    lost, twice, killed = [random.choice((0.0, 0.05, 0.2)) for _ in range(3)]
    fails, away = random.choice((0.0, 0.0, 0.1)), random.choice((0.0, 0.02))
    return PostFaults(lost, twice, killed, fails, away, random.choice((0, 2, 6)))


class SimulatedPost:
    """What the broker has: messages in their order, those that are with a connection, answers, and what was buried."""

    def __init__(self) -> None:
        self.queue: dict[int, Posted] = {}
        self.taken: dict[int, object] = {}
        self.answers: list[Outgoing] = []
        self.buried: list[Buried] = []
        self.changed = anyio.Event()
        self._number = 0

    def __repr__(self) -> str:
        return f"<SimulatedPost queue={len(self.queue)} taken={len(self.taken)} buried={len(self.buried)}>"

    def post(self, body: bytes, routing_key: str) -> None:
        """As another service does."""
        self._number += 1
        self.put(Posted(self._number, body, routing_key, START_MS + round(anyio.current_time() * 1_000)))

    def put(self, posted: Posted) -> None:
        self.queue[posted.number] = posted
        self._wake()

    def next_for(self, connection: object) -> Posted | None:
        """The first that is with none, if this connection may have one more."""
        if sum(one is connection for one in self.taken.values()) >= PREFETCH:
            return None
        number = min((number for number in self.queue if number not in self.taken), default=None)
        if number is None:
            return None
        self.taken[number] = connection
        return self.queue[number]

    def done(self, posted: Posted) -> None:
        self.queue.pop(posted.number, None)
        self.taken.pop(posted.number, None)
        self._wake()

    def give_back(self, connection: object) -> None:
        """The connection is gone."""
        self.taken = {number: one for number, one in self.taken.items() if one is not connection}
        self._wake()

    def _wake(self) -> None:
        changed, self.changed = self.changed, anyio.Event()
        changed.set()


class SimulatedInbox:
    """`Inbox`, as one process has it.

    Args:
        faults: what goes wrong now; None: nothing.
        kill: kills the process.
    """

    def __init__(
        self, post: SimulatedPost, random: Random, faults: Callable[[], PostFaults | None], kill: Callable[[], None]
    ) -> None:
        self._post = post
        self._random = random
        self._faults = faults
        self._kill = kill
        self._connection: object | None = None
        self.is_dead = False

    def __repr__(self) -> str:
        return f"<SimulatedInbox open={self._connection is not None} dead={self.is_dead}>"

    @property
    def name(self) -> str:
        return "the post"

    async def open(self) -> None:
        await self.close()
        await anyio.sleep(self._random.random() * 0.05)
        if self._happens("lost"):
            raise BrokerLost("the post refuses the connection")
        self._connection = object()

    async def receive(self) -> Delivery:
        while True:
            self._see_connection()
            if self._happens("lost", 0.2):
                self._lose()
            connection = self._see_connection()
            posted = self._post.next_for(connection)
            if posted is not None:
                await anyio.sleep(self._random.random() * 0.002)
                return Delivery(posted.body, posted.routing_key, "post", (connection, posted), posted.at_ms)
            await self._post.changed.wait()

    async def publish(self, messages: Sequence[Outgoing]) -> int:
        async with _Word(self):
            if not self.is_dead:
                self._post.answers.extend(messages)
        return 0

    async def acknowledge(self, delivery: Delivery) -> None:
        connection, posted = delivery.token
        if self._happens("lost"):
            self._lose()  # it was sent, and did not arrive: this is not heard of before the next exchange
            return
        async with _Word(self):
            if not self.is_dead and connection is self._connection:
                self._post.done(posted)
                if self._happens("twice"):
                    self._post.put(posted)

    async def bury(self, delivery: Delivery, reason: str) -> None:
        async with _Word(self):
            if not self.is_dead:
                self._post.buried.append(Buried(delivery.body, reason))
        await self.acknowledge(delivery)

    async def close(self) -> None:
        if self._connection is not None:
            self._lose()

    def _lose(self) -> None:
        connection, self._connection = self._connection, None
        self._post.give_back(connection)

    def _see_connection(self) -> object:
        if self._connection is None:
            raise BrokerLost("the connection is lost")
        return self._connection

    def _happens(self, what: str, part: float = 1.0) -> bool:
        faults = self._faults()
        return faults is not None and self._random.random() < part * getattr(faults, what)


class _Word:
    """A word to the broker, which may not arrive, or whose confirm may not, or which the process does not survive."""

    def __init__(self, inbox: SimulatedInbox) -> None:
        self._inbox = inbox

    def __repr__(self) -> str:
        return f"<_Word of {self._inbox}>"

    async def __aenter__(self) -> None:
        await self._meet_faults()

    async def __aexit__(self, *_: object) -> None:
        await self._meet_faults()

    async def _meet_faults(self) -> None:
        inbox = self._inbox
        await anyio.sleep(inbox._random.random() * 0.01)
        if inbox._happens("killed", 0.5):
            inbox._kill()
            await anyio.sleep_forever()
        inbox._see_connection()
        if inbox._happens("lost", 0.5):
            inbox._lose()
            raise BrokerLost("the connection is lost")
