"""What a scenario has in its hands."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from random import Random
from typing import TypeVar
from uuid import UUID

import anyio
from stockkeeper_client.channel import RetryPolicy
from stockkeeper_client.circuit import CircuitBreaker
from stockkeeper_client.connection import Metadata
from stockkeeper_client.v1.inventory_pb2 import ReserveStockResponse
from stockkeeper_client.v1.stock_pb2 import Reservation

from actors.exceptions import only_cause
from actors.records import ReservationRecord
from simulation.audit.auditor import audit
from simulation.audit.guarantee_violation import GuaranteeViolation
from stockkeeper.testkit.engine import Engine
from stockkeeper.testkit.in_process_client import InProcessClient

Argument = TypeVar("Argument")
Result = TypeVar("Result")

_POLL_S = 0.05
_EXPIRY_S_MAX = 600.0  # beyond its time, before a reservation counts as one that will never expire


class BrokenGuarantee(AssertionError):
    """The service broke a promise of its own. That is a bug of it, and none of the code under test."""

    def __init__(self, violations: Sequence[GuaranteeViolation]) -> None:
        super().__init__("\n".join(map(str, violations)))
        self.violations = tuple(violations)


class World:
    """An inventory service with its clients, in virtual time.

    Code under test gets a client. In the examples a `shop` has 10 mugs in madrid, and `world` is as here:

    >>> async def buy(client):
    ...     return (await client.reserve_stock("shop", world.new_id(), [{"variant_id": "mug", "quantity": 2}])).success
    >>> await world.in_parallel(buy, world.clients)  # once for each client
    [True, True, True]
    >>> await world.settle()
    >>> [stock] = (await world.inventory.get_stock_info("shop", "mug")).stock_info
    >>> stock.available_quantity
    4

    Args:
        engine: what it is made of.
        seed: the number of this run.
        clients: how many there are in `clients`.
    """

    def __init__(self, engine: Engine, seed: int, clients: int) -> None:
        self._engine = engine
        self._ids = _random_of(engine.seed, "ids")
        self._made = 0
        self.seed = seed
        self.clients = tuple(self.client() for _ in range(clients))

    def __repr__(self) -> str:
        return f"<World seed={self.seed} now={self.now():.3f} clients={len(self.clients)}>"

    # ---- clients ----------------------------------------------------------------------------------------------------

    @property
    def inventory(self) -> InProcessClient:
        """The first client.

        >>> (await world.inventory.check_availability("shop", "mug", "madrid", 10)).available
        True
        """
        return self.clients[0]

    def client(
        self,
        name: str = "",
        *,
        timeout_s: float = 5.0,
        streaming: bool = False,
        retry: RetryPolicy | None = RetryPolicy(),  # noqa: B008 - immutable
        breaker: CircuitBreaker | bool = True,
        metadata: Metadata = (),
    ) -> InProcessClient:
        """Another InventoryClient. The arguments are those of InventoryClient, and mean what they mean there.

        Give a breaker of your own `world.now` for a clock.

        >>> impatient = world.client("impatient", timeout_s=0.5, retry=None)
        >>> impatient
        <InventoryClient impatient breaker=<CircuitBreaker closed failures=0/5>>
        """
        self._made += 1
        return InProcessClient(
            self._engine.wire,
            name or f"client-{self._made}",
            timeout_s=timeout_s,
            streaming=streaming,
            retry=retry,
            breaker=CircuitBreaker(clock=self.now) if breaker is True else breaker,
            metadata=metadata,
        )

    async def in_parallel(
        self, function: Callable[[Argument], Awaitable[Result]], arguments: Iterable[Argument]
    ) -> list[Result]:
        """Call it with each argument, all at once; the results stand in the order of the arguments.

        The first exception cancels the others and is passed on.

        >>> async def available(warehouse_id):
        ...     return (await world.inventory.check_availability("shop", "mug", warehouse_id, 1)).available
        >>> await world.in_parallel(available, ["madrid", "lisbon"])
        [True, False]
        """
        given = list(arguments)
        results: dict[int, Result] = {}

        raised: list[BaseException] = []

        async def one(place: int, argument: Argument) -> None:
            try:
                results[place] = await function(argument)
            except anyio.get_cancelled_exc_class():
                raise
            except BaseException as error:
                raised.append(error)
                raise

        try:
            async with anyio.create_task_group() as tasks:
                for place, argument in enumerate(given):
                    tasks.start_soon(one, place, argument)
        except BaseExceptionGroup as group:
            raise (raised[0] if raised else only_cause(group)) from None
        return [results[place] for place in range(len(given))]

    # ---- time -------------------------------------------------------------------------------------------------------

    def now(self) -> float:
        """Virtual seconds since the run began. They never go back.

        >>> began = world.now()
        >>> await world.sleep(60)
        >>> round(world.now() - began)
        60
        """
        return self._engine.schedule.now_s()

    def utc_now(self) -> datetime:
        """The wall clock, which jumps where `wall_clock_jumps` is among the faults.

        >>> world.utc_now().tzinfo
        datetime.timezone.utc
        """
        return datetime.fromtimestamp(self._engine.wall_ms() / 1_000, UTC)

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass. It takes no real time beyond what happens meanwhile.

        >>> await world.sleep(3_600)
        """
        await anyio.sleep(seconds)

    async def sleep_until_expired(self, reservation: ReserveStockResponse | Reservation) -> None:
        """Sleep until a reservation has expired and its goods are free again.

        Returns at once if it was released or has expired already.

        Raises:
            ValueError: there is no such reservation, or it is confirmed or fulfilled and will not expire.

        >>> reserved = await world.inventory.reserve_stock("shop", "order-1", [{"variant_id": "mug", "quantity": 2}])
        >>> await world.sleep_until_expired(reserved)
        >>> (await world.inventory.check_availability("shop", "mug", "madrid", 10)).available
        True
        """
        patience_s = _EXPIRY_S_MAX
        while True:
            record = self._find(reservation.reservation_id)
            if record.state in ("confirmed", "fulfilled"):
                raise ValueError(f"reservation {record.reservation_id} is {record.state}, and will not expire")
            if record.state != "active":
                return
            assert self._engine.server is not None
            left_s = (record.expires_at_ms - self._engine.server.time.now_ms()) / 1_000
            if left_s <= 0:
                patience_s -= _POLL_S
                assert patience_s > 0, f"{record!r} is overdue and does not expire"
            await anyio.sleep(max(left_s, _POLL_S))

    def _find(self, reservation_id: str) -> ReservationRecord:
        for record in self._engine.disk.reservations.values():
            if record.reservation_id == reservation_id:
                return record
        raise ValueError(f"there is no reservation {reservation_id!r}")

    # ---- trouble ----------------------------------------------------------------------------------------------------

    async def crash_server(self, down_s: float = 0.0) -> None:
        """kill -9, and a new process `down_s` seconds later, which serves when this returns.

        What was under way ends with UNAVAILABLE, done or not; what was answered stays.

        >>> await world.crash_server(down_s=1.0)
        >>> (await world.inventory.check_availability("shop", "mug", "madrid", 10)).available
        True
        """
        await self._engine.crash(down_s)

    @contextmanager
    def without_faults(self) -> Iterator[None]:
        """Nothing new goes wrong within this block: for laying in stock, say. It holds for everybody's calls.

        >>> with world.without_faults():
        ...     delivery = [{"variant_id": "plate", "warehouse_id": "madrid", "quantity": 4}]
        ...     received = await world.inventory.stock.receive_stock("shop", delivery)
        """
        self._engine.be_calm(True)
        try:
            yield
        finally:
            self._engine.be_calm(False)

    async def settle(self) -> None:
        """Faults end for good; returns when the last late duplicate has arrived, which takes up to a minute.

        After it a scenario can look at what its code has done, with calls that succeed. Reservations live on: to see
        the end of one, sleep until it has expired.

        >>> await world.settle()
        """
        await self._engine.settle()

    def audit(self) -> None:
        """Check the service's guarantees in all that has happened so far. Every run ends with it.

        Raises:
            BrokenGuarantee: it broke one.

        >>> world.audit()
        """
        engine = self._engine
        audited = audit(engine.history.operations, engine.disk.transactions, engine.quiet_since_ms)
        # A call that is under way now has not ended, and need not have.
        broken = [*engine.violations, *(violation for violation in audited if violation.guarantee != "G10")]
        if broken:
            raise BrokenGuarantee(broken)

    # ---- what the seed decides --------------------------------------------------------------------------------------

    def random(self, name: str) -> Random:
        """A stream of random numbers of that name, the same for the same seed: for what a scenario chooses.

        >>> world.random("baskets").randint(1, 9) == world.random("baskets").randint(1, 9)
        True
        """
        return _random_of(self._engine.seed, f"scenario/{name}")

    def new_id(self) -> str:
        """A UUID that the seed decides, for code that needs fresh ids.

        >>> world.new_id() == world.new_id()
        False
        """
        return str(self.uuid())

    def uuid(self) -> UUID:
        """The same as an object, in the place of `uuid.uuid4`.

        >>> world.uuid().version
        4
        """
        return UUID(int=self._ids.getrandbits(128), version=4)

    def note(self, text: str) -> None:
        """Put a line among the steps that are shown when the run fails.

        >>> world.note("the shop closes")
        """
        self._engine.tell(text)


def _random_of(seed: str, name: str) -> Random:
    return Random(f"{seed}/{name}")
