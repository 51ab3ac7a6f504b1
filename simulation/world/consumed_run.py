"""A world with a consumer: the real one, killed and begun again, which hears what other services say.

Its broker is in `simulated_post.py`, what is said in `post_wishes.py`, and how it reaches the inventory in
`core_stock.py`.
"""

from functools import partial
from random import Random

import anyio
from msgspec.structs import replace

from actors.exceptions import leaves
from events.consumer import Consumer
from events.deeds import Deeds
from simulation.audit.done_once import SaidEvent
from simulation.faults import Options
from simulation.world.core_stock import CoreStock
from simulation.world.post_wishes import PostWishes
from simulation.world.simulated_post import PostFaults, SimulatedInbox, SimulatedPost, post_faults
from simulation.world.simulated_run import SimulatedRun
from simulation.world.simulated_world import QUIET_S_MAX

PAUSE_S = 1.5  # between two things that are said, at most


def suited_to_consumers(options: Options) -> Options:
    """What suits a world with a consumer: it must be short, and all keys must be known for as long as it lasts."""
    return replace(
        options,
        consumed=True,
        keep_s=0,
        think_s=min(options.think_s, 1.0),
        clients=min(options.clients, 6),
        operations=min(options.operations, 8),
    )


class ConsumedRun(SimulatedRun):
    """A world with simulated clients, and a consumer that does what others say."""

    post: SimulatedPost
    post_faults: PostFaults
    said: list[SaidEvent]
    _consumers: anyio.CancelScope

    async def chaos(self) -> None:
        """As every world's, while others speak, and consumers are killed and begin again."""
        self.post, self.post_faults = SimulatedPost(), post_faults(self.seed)
        wishes = PostWishes(self.shop, self.seed)
        messages, self.said = wishes.all(), wishes.said
        self._consumers = anyio.CancelScope()
        self._tasks.start_soon(self._keep_consumer)
        async with anyio.create_task_group() as others:
            others.start_soon(self._speak, messages)
            await super().chaos()

    async def heal(self) -> None:
        """As every world's; then all that was said must be dealt with."""
        await super().heal()
        with anyio.move_on_after(QUIET_S_MAX) as patience:
            while self.post.queue:
                await self.post.changed.wait()
        self._consumers.cancel()
        if patience.cancelled_caught:
            self.fail("events are dealt with", f"{list(self.post.queue.values())[:2]} are not, for {QUIET_S_MAX} s")
        await super().heal()

    async def _speak(self, messages: list[SaidEvent]) -> None:
        random = Random(f"{self.seed}/speaking")
        for one in messages:
            await anyio.sleep(random.random() ** 3 * PAUSE_S)
            self.post.post(one.body, one.name)

    async def _keep_consumer(self) -> None:
        """One process after another."""
        random, number = Random(f"{self.seed}/consumer"), 0
        with self._consumers:
            while True:
                number += 1
                await self._consume(number, random)
                await anyio.sleep(random.random())

    async def _consume(self, number: int, random: Random) -> None:
        process = f"consumer-{number}"
        with anyio.CancelScope() as life:
            streams = [Random(f"{self.seed}/{process}/{what}") for what in ("inbox", "stock")]
            inbox = SimulatedInbox(self.post, streams[0], self._faults, lambda: kill())
            stock = CoreStock(process, self.network.call, self._reached, self._tasks, streams[1], self._faults)
            kill = partial(self._kill_consumer, inbox, life)
            if number <= self.post_faults.kills:
                self._later(random.random() * 6.0, kill)
            try:
                await Consumer(inbox, Deeds(stock), "cloudevents").run()
            except Exception as error:  # noqa: BLE001 - its process would end so
                self.fail("no bug is met", f"a consumer ends with {list(leaves(error))!r}")

    def _kill_consumer(self, inbox: SimulatedInbox, life: anyio.CancelScope) -> None:
        if not self.is_calm:
            inbox.is_dead = True
            life.cancel()

    def _faults(self) -> PostFaults | None:
        return None if self.is_calm else self.post_faults
