"""What clients do: the whole API, on few, scarce and contended goods."""

from collections.abc import Awaitable, Callable
from functools import partial
from random import Random

import anyio

from actors.commands import (
    Amend,
    Confirm,
    CountedLine,
    Deduct,
    Delete,
    Extend,
    Fulfill,
    Import,
    Line,
    Release,
    Reserve,
)
from actors.outcomes import (
    BasketReserved,
    MovedRow,
    ReservationConfirmed,
    ReservationExists,
    ReservationExpired,
    ReservationFulfilled,
    ReservationReacquired,
    ReservationReleased,
    StockDeducted,
    StockImported,
    StockReceived,
    StockReserved,
)
from actors.queries import CheckBasket, ExplainBasket, GetReservation, GetStock, ListStock
from actors.records import ReservationRecord, StockRecord
from actors.transfer_commands import ShipTransfer
from actors.transfer_outcomes import WarehouseNotFound
from actors.warehouse_outcomes import WarehouseInactive
from simulation.audit.history import Operation, Request
from simulation.world.count_wishes import away, counted_again, numbered
from simulation.world.goods_wishes import (
    adjustment,
    announcement,
    brought_and_deleted,
    deletion,
    delivery,
    now_and_then,
    why,
)
from simulation.world.history_wishes import Follower, look_back
from simulation.world.loss_wishes import lose
from simulation.world.meetings import meet
from simulation.world.next_pages import next_page
from simulation.world.reservation_wishes import amendment, extension, follow_up, listed, second_try, shipment
from simulation.world.shop import Shop
from simulation.world.site_wishes import site_wish
from simulation.world.sourcing_wishes import sourcing_wishes
from simulation.world.transfer_wishes import shipped_again

Call = Callable[[str, Request], Awaitable[Operation]]
SleepUntilMs = Callable[[int], Awaitable[None]]
"""Sleeps until service time is that."""


class Client:
    """One caller, which does one thing after another.

    Args:
        number: tells it from the others.
        shop: what it knows.
        call: does an operation.
        sleep_until_ms: sleeps until a service time.
    """

    def __init__(self, number: int, shop: Shop, call: Call, sleep_until_ms: SleepUntilMs) -> None:
        self._number = number
        self._name = f"client-{number}"
        self._shop = shop
        self._call = call
        self._sleep_until_ms = sleep_until_ms
        self._follower = Follower(shop.organizations[number % len(shop.organizations)])
        self._mine: list[ReservationRecord] = []

    def __repr__(self) -> str:
        return f"<Client {self._number} reservations={len(self._mine)}>"

    async def run(self) -> None:
        """Do all of its operations."""
        options = self._shop.options
        for number in range(options.operations):
            if (self._number, number) in options.skipped:
                continue
            await self._one(Random(f"{self._shop.seed}/{self._name}/{number}"), number)

    async def _one(self, random: Random, number: int) -> None:
        options = self._shop.options
        if options.think_s:
            await anyio.sleep(random.random() ** 3 * options.think_s)
        if options.rounds_s:
            await anyio.sleep(-anyio.current_time() % options.rounds_s)
        [wish] = random.choices(_WISHES, options.wishes)
        request = wish(self, random, f"{self._name}-{number}")
        if isinstance(request, Confirm | Release | Extend | Amend) and random.random() < options.aims_at_expiry:
            await self._wait_for_expiry(request.reservation_id, random)
        await self._ask_of_history(Random(f"{self._shop.seed}/{self._name}/{number}/history"))
        await self._ask_of_sites(Random(f"{self._shop.seed}/{self._name}/{number}/site"), number)
        for one in sourcing_wishes(self._shop, f"{self._name}-{number}"):
            await self._do(one)
        meeting = Random(f"{self._shop.seed}/{self._name}/{number}/meeting")
        await meet(self._shop, meeting, f"{self._name}-{number}", partial(self._call, self._name))
        losses = Random(f"{self._shop.seed}/{self._name}/{number}/losses")
        await lose(self._shop, losses, f"{self._name}-{number}", partial(self._call, self._name))
        hurry = Random(f"{self._shop.seed}/{self._name}/{number}/hurry")
        if isinstance(request, Reserve | Confirm | Release) and hurry.random() < options.hurry:
            async with anyio.create_task_group() as both:
                both.start_soon(self._do, request)
                both.start_soon(self._do, self._besides(request, hurry, f"{self._name}-{number}-hurry"))
        else:
            await self._do(request)

    async def _ask_of_history(self, random: Random) -> None:
        if random.random() >= self._shop.options.history:
            return
        query = self._follower.next_query(random)
        self._follower.hear(query, (await self._do(query)).answer, random)
        if random.random() < 0.3:
            await self._do(look_back(self._shop, random, self._shop.reservations))

    async def _ask_of_sites(self, random: Random, number: int) -> None:
        if random.random() < self._shop.options.sites:
            if random.random() < 0.2:
                async with anyio.create_task_group() as both:
                    for request in brought_and_deleted(self._shop, random, f"{self._name}-{number}"):
                        both.start_soon(self._do, request)
            if random.random() < 0.2:
                await self._do(ExplainBasket(random.choice(self._shop.organizations), self._lines(random)))
            await self._do(site_wish(self._shop, random, f"{self._name}-{number}"))

    async def _wait_for_expiry(self, reservation_id: str, random: Random) -> None:
        for reservation in self._shop.reservations:
            if reservation.reservation_id == reservation_id and reservation.state == "active":
                await self._sleep_until_ms(reservation.expires_at_ms + random.choice((-2, -1, 0, 0, 1, 60)))
                return

    async def _do(self, request: Request) -> Operation:
        operation = await self._call(self._name, request)
        self._shop.heard(operation)
        if (more := next_page(operation.request, operation.answer)) is not None:
            await self._do(more)
        match operation.answer:
            case StockReserved(reservation) | BasketReserved(reservation):
                self._mine.append(reservation)
                await self._go_on(reservation, "reserved")
            case ReservationConfirmed(reservation):
                await self._go_on(reservation, "confirmed")
            case ReservationFulfilled(reservation, at_ms=at_ms):
                await self._go_on(reservation, f"shipped at {at_ms}", _name_of(request))
            case ReservationExpired() if isinstance(request, Confirm):
                await self._pay_late(request)
            case ReservationReleased(ReservationRecord(state="expired") as record):
                await self._pay_late(Confirm(*record.order[:1], record.reservation_id, record.order_id))
            case StockImported() if isinstance(request, Import) and not request.request_id.endswith(AGAIN):
                # What was counted is counted once more, so that most rows are as they were.
                random = Random(f"{self._shop.seed}/{request.request_id}")
                lines = counted_again(request.lines, random, self._shop.options.pieces)
                await self._do(Import(lines, request.request_id + AGAIN))
            case StockReceived(rows=(MovedRow(is_new=True, record=record), *_)) if record.available:
                await self._take_back(record, request)
            case StockDeducted(rows):
                for row in rows:
                    if not row.record.total:
                        await self._do(Delete(*row.record.key, f"{_name_of(request)}-{row.record.variant_id}", "empty"))
            case WarehouseNotFound() | WarehouseInactive() if isinstance(request, ShipTransfer):
                for step in shipped_again(request):
                    await self._do(step)
            case ReservationExists() if len(self._mine) % 2:
                await self._do(Release(request.organization_id, operation.answer.reservation_id, "other basket"))  # type: ignore[union-attr]
        return operation

    async def _go_on(self, reservation: ReservationRecord, what: str, after: str = "") -> None:
        name = f"{reservation.reservation_id}-{what}-{self._number}"
        if name == after:
            return  # it would be asked, and answered, for ever
        random = Random(f"{self._shop.seed}/{name}")
        request, is_aimed = follow_up(reservation, self._lines(random), random, name)
        if is_aimed:
            await self._wait_for_expiry(reservation.reservation_id, random)
        if request is not None:
            await self._do(request)

    async def _pay_late(self, request: Confirm) -> None:
        """The payment came, and the time was over: its goods are wanted again, and then it is confirmed."""
        name = f"late-{request.reservation_id}-{self._number}"
        random = Random(f"{self._shop.seed}/{name}")
        if random.random() < 0.5:
            again = second_try(request.organization_id, request.reservation_id, random, name)
            if isinstance((await self._do(again)).answer, ReservationReacquired) and random.random() < 0.6:
                await self._do(request)

    async def _take_back(self, record: StockRecord, request: Request) -> None:
        """Undo what was a typing error: the goods go, and then the row."""
        name = f"{_name_of(request)}-back"
        if Random(f"{self._shop.seed}/{name}").random() < 0.5:
            line = Line(record.variant_id, record.warehouse_id, record.available)
            await self._do(Deduct(record.organization_id, (line,), name, "typing error"))

    def _besides(self, request: Reserve | Confirm | Release, random: Random, name: str) -> Request:
        """What a client in a hurry asks of the same order at the same time: often something else."""
        if isinstance(request, Reserve):
            lines = self._lines(random) if random.random() < 0.7 else request.lines
            return Reserve(request.organization_id, request.order_id, lines, request.ttl_minutes, "")
        organization, reservation = request.organization_id, request.reservation_id
        known = [one for one in self._shop.reservations if one.reservation_id == reservation]
        if known and random.random() < 0.5:
            return Reserve(organization, known[0].order_id, self._lines(random), 1, "")
        if known and random.random() < 0.3:
            return Confirm(organization, reservation, known[0].order_id)
        return random.choice(
            (Release(organization, reservation, "hurry"), Fulfill(organization, reservation, f"ship-{name}", ""))
        )

    # ---- wishes ---------------------------------------------------------------------------------------------------

    def _reserve(self, random: Random, name: str) -> Request:
        shop = self._shop
        order = random.randrange(shop.options.orders)
        organization = random.choice(shop.organizations)
        # Several clients send the same order, mostly with the same basket and sometimes with another.
        which = 0 if random.random() < 0.8 else 1
        lines = self._lines(Random(f"{shop.seed}/basket/{order}/{which}"))
        ttl = Random(f"{shop.seed}/ttl/{order}").randint(1, shop.options.ttl_minutes_max)
        key = f"key-{order}-{random.randrange(2)}" if random.random() < 0.2 else ""
        return Reserve(organization, f"order_{order}", lines, ttl, key)

    def _lines(self, random: Random) -> tuple[Line, ...]:
        shop = self._shop
        most = max(1, min(4, shop.options.pieces // 2))
        return tuple(
            Line(
                random.choice(shop.variants) if random.random() < 0.98 else "var_unknown",
                random.choice(shop.warehouses) if random.random() < shop.options.names_warehouse else "",
                random.randint(1, most),
            )
            for _ in range(max(shop.options.lines_min, random.choice((1, 1, 2, 2, 3, 4))))
        )

    def _reservation(self, random: Random) -> tuple[str, str, str]:
        """Organization, reservation and order: the client's own, another's, or one that does not exist."""
        shop = self._shop
        known = self._mine if self._mine and random.random() < 0.6 else shop.reservations
        if not known or random.random() < 0.02:
            return shop.organizations[0], "no such reservation", "order_0"
        reservation = known[-1 - int(random.random() ** 2 * len(known))]
        organization = reservation.organization_id
        if random.random() < 0.08:
            organization = random.choice((*shop.organizations, "org_other"))
        order = reservation.order_id if random.random() < 0.95 else "order_other"
        return organization, reservation.reservation_id, order

    def _confirm(self, random: Random, name: str) -> Request:
        return Confirm(*self._reservation(random))

    def _release(self, random: Random, name: str) -> Request:
        organization, reservation, _ = self._reservation(random)
        return Release(organization, reservation, f"cancelled by {name}")

    def _fulfill(self, random: Random, name: str) -> Request:
        """Ship a reservation, mostly as a whole, or give it more time."""
        organization, reservation, _ = self._reservation(random)
        what = Random(f"{self._shop.seed}/{name}/what").random()
        if what < 0.15:
            return extension(organization, reservation, random, f"extend-{name}")
        if what < 0.25:
            return second_try(organization, reservation, random, f"again-{name}")
        known = self._shop.known(reservation)
        if known is not None and what < 0.4:
            return shipment(known, random, f"part-{name}")
        if known is not None and what < 0.55:
            return amendment(known, self._lines(random), random, f"amend-{name}")
        request_id = f"ship-{reservation}" if random.random() < 0.7 else f"ship-{name}"
        return Fulfill(organization, reservation, request_id, now_and_then(f"parcel of {request_id}"))

    def _goods(self, random: Random, name: str) -> Request:
        """What moves goods and belongs to no order. Several clients report some of the deliveries and sales."""
        shop = self._shop
        number = random.randrange(6)
        which = Random(f"{shop.seed}/{name}/goods").random()
        kind = (
            "delivery"
            if which < 0.5
            else "announcement"
            if which < 0.7
            else "sale"
            if which < 0.8
            else "adjustment"
            if which < 0.92
            else "deletion"
        )
        same = Random(f"{shop.seed}/{kind}/{number}")
        if random.random() < 0.5:
            same, name = random, f"{name}-own"
        else:
            name = f"{kind}-{number}"
        match kind:
            case "delivery":
                return delivery(shop, same, name)
            case "announcement":
                return announcement(shop, same, name)
            case "adjustment":
                return adjustment(shop, same, name)
            case "deletion":
                return deletion(shop, same, name)
            case _:
                return Deduct(same.choice(shop.organizations), self._lines(same), name, *why(name))

    def _import(self, random: Random, name: str) -> Request:
        shop = self._shop
        earlier = [request for request in shop.asked[-30:] if isinstance(request, Import)]
        if earlier and random.random() < 0.3:
            lines_again = counted_again(random.choice(earlier).lines, random, shop.options.pieces)
            return Import(lines_again, f"import-{name}")
        names = Random(f"{shop.seed}/names/{name}")
        lines = {
            (org, variant, warehouse): CountedLine(
                org,
                variant,
                warehouse,
                random.choice(("", names.choice(("Renamed", f"Renamed by {name}")))),
                random.choice((None, *[random.randint(0, shop.options.pieces * 2)] * 5)),
                random.choice((0, None, 1)),
                random.choice((0, None, 1)),
                random.choice((0, None, 1, 2)),
                random.choice((0, None, names.choice((1, 3)))),
                0,
            )
            for _ in range(random.randint(1, shop.options.import_lines_max))
            for org, variant, warehouse in [
                (
                    random.choice(shop.organizations) if random.random() < 0.95 else "org_new",
                    random.choice(shop.variants),
                    random.choice(shop.warehouses),
                )
            ]
        }
        whole = [line for line in lines.values() if line.total is None or line.total >= away(line)]
        # Now and then an id that others use too: it belongs to the organizations of its lines.
        shared = f"import-{random.randrange(2)}" if random.random() < 0.2 else f"import-{name}"
        return Import(tuple(numbered(whole)), shared) if whole else self._goods(random, name)

    def _again(self, random: Random, name: str) -> Request:
        """What a client asked before, word for word."""
        asked = self._shop.asked
        return asked[int(random.random() * len(asked))] if asked else self._check(random, name)

    def _check(self, random: Random, name: str) -> Request:
        return CheckBasket(random.choice(self._shop.organizations), self._lines(random))

    def _stock_info(self, random: Random, name: str) -> Request:
        shop = self._shop
        warehouse = random.choice(shop.warehouses) if random.random() < 0.3 else ""
        return GetStock(random.choice(shop.organizations), random.choice(shop.variants), warehouse)

    def _list_stock(self, random: Random, name: str) -> Request:
        shop = self._shop
        variant = random.choice(shop.variants) if random.random() < 0.3 else ""
        warehouse = random.choice(shop.warehouses) if random.random() < 0.3 else ""
        return ListStock(random.choice(shop.organizations), variant, warehouse, None, random.choice((2, 100)))

    def _list_reservations(self, random: Random, name: str) -> Request:
        shop = self._shop
        if Random(f"{shop.seed}/{name}/one").random() < 0.3:
            return GetReservation(*self._reservation(random)[:2])
        return listed(shop, random, Random(f"{shop.seed}/{name}/sifted"))


AGAIN = "-again"

Wish = Callable[[Client, Random, str], Request]

_WISHES: tuple[Wish, ...] = (
    Client._reserve,
    Client._confirm,
    Client._release,
    Client._fulfill,
    Client._goods,
    Client._import,
    Client._again,
    Client._reserve,
    Client._check,
    Client._stock_info,
    Client._list_stock,
    Client._list_reservations,
)


def _name_of(request: Request) -> str:
    """The request's id, of which follow-ups make theirs."""
    return getattr(request, "request_id", "")
