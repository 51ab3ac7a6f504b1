"""What the actors of orders work with: ports, and one object that holds them."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from actors.records import ReservationRecord, StockKey
from actors.reply import Reply
from actors.sourcing import Sourcing
from actors.stages import Stages
from actors.turn import Turn
from actors.two_phase import TwoPhase
from actors.unavailable import restarting
from actors.variant_stock import VariantStock

ReadReservation = Callable[[str, str], Awaitable[ReservationRecord | None]]


class Clock(Protocol):
    """Service time."""

    def now_ms(self) -> int: ...


class Answers(Protocol):
    """The journal, as the end of a turn sees it."""

    @property
    def durable_lsn(self) -> int: ...

    def answer(self, reply: Reply[Any], value: Any = None, error: Exception | None = None) -> None:
        """Give the answer as soon as everything decided so far is durable."""
        ...


class Rows(Protocol):
    """The stock rows in memory."""

    def ready(self, organization_id: str, variant_ids: Mapping[str, None]) -> dict[str, VariantStock] | None:
        """These variants, if all are in memory; else None."""
        ...

    def load(self, organization_id: str, variant_ids: Mapping[str, None]) -> Turn[dict[str, VariantStock]]:
        """These variants, loaded where need be."""
        ...

    def sourcing(self, organization_id: str) -> Sourcing:
        """How the organization's baskets are planned, as it was decided; another object after each change."""
        ...


def may_refuse(rows: Rows, organization_id: str, sourcing: Sourcing, variants: Mapping[str, VariantStock]) -> bool:
    """Whether a refusal rests on what is so now. False: warehouses or the policy changed while the plan waited, so that
    the caller plans again.

    Args:
        sourcing: what it was planned by.
        variants: what it was planned from.

    Raises:
        Unavailable: a crash has dropped one of them, and what it knew may be of the past.
    """
    if any(variant.is_dropped for variant in variants.values()):
        raise restarting()
    return rows.sourcing(organization_id) is sourcing


class Hints(Protocol):
    """When stock may come back: see `supervisor.background.expiry_hints`."""

    def add(self, reservation: ReservationRecord) -> None: ...
    def discard(self, reservation: ReservationRecord) -> None: ...
    def freed_at_ms(self, key: StockKey, quantity: int) -> int | None: ...
    def without(self, reservation: ReservationRecord | None) -> Callable[[StockKey, int], int | None]: ...


class OrderServices:
    """What every order actor of an incarnation works with.

    Args:
        read_reservation: reads a reservation by its organization and id, with all of its items.
        kept_ms: how long after its end a reservation is certain not to be moved out; None: for ever.
        stages: follows commands; None: nothing does.
    """

    __slots__ = (
        *("answers", "clock", "hints", "kept_ms", "new_reservation_id", "read_reservation", "rows", "stages"),
        "two_phase",
    )

    def __init__(
        self,
        clock: Clock,
        two_phase: TwoPhase,
        hints: Hints,
        answers: Answers,
        rows: Rows,
        new_reservation_id: Callable[[], str],
        read_reservation: ReadReservation,
        kept_ms: int | None,
        stages: Stages | None = None,
    ) -> None:
        self.clock = clock
        self.two_phase = two_phase
        self.hints = hints
        self.answers = answers
        self.rows = rows
        self.new_reservation_id = new_reservation_id
        self.read_reservation = read_reservation
        self.kept_ms = kept_ms
        self.stages = stages

    def __repr__(self) -> str:
        return f"<OrderServices {self.answers!r} {self.rows!r}>"
