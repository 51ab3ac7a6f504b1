"""When stock may come back: what a refused caller is told to wait for.

For each row the claims of active reservations are kept in the order of their expiry. It is a hint and nothing
rests on it: a reservation may be confirmed or released before, and beyond `claims_max` new claims are not
noted.

To note a basket of 1,000 lines takes as long as to decide it, and it would be noted in the step that decides it, for
which others wait. So what is large is put aside, and noted when its caller has the answer, or before that when another
is refused.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import anyio
from anyio.lowlevel import checkpoint
from msgspec import Struct

from actors.records import ReservationRecord
from actors.turn import MOMENT_S
from supervisor.background.row_claims import Claim, RowClaims, what_of

CLAIMS_MAX = 200_000
AT_ONCE_MAX = 100  # items: 0.1 ms
ASIDE_MAX = 10  # reservations: with the next one the oldest is noted at once


Row = tuple[str, str, str]
"""An `actors.records.StockKey`, or its like: plain tuples cost a fraction, and each order needs several."""


class ExpiryHintsStatistics(Struct, frozen=True):
    """What is noted now.

    Args:
        claims: of reservations on rows.
        rows: that have any.
        changed: reservations to be left out when the database's are learned.
        aside: large reservations that are still to be noted or forgotten.
    """

    claims: int
    rows: int
    changed: int
    aside: int


class ExpiryHints:
    """Claims by row.

    Args:
        claims_max: how many are kept in all, so that memory stays bounded.
    """

    def __init__(self, claims_max: int = CLAIMS_MAX) -> None:
        self._claims: dict[Row, RowClaims] = {}
        self._claims_max = claims_max
        self._count = 0
        self._changed: set[tuple[str, str]] | None = set()  # while the database's are still to be learned
        self._aside: deque[tuple[Callable[[ReservationRecord], None], ReservationRecord]] = deque()
        self._has_aside: anyio.Event | None = None

    def __repr__(self) -> str:
        return f"<ExpiryHints claims={self._count}/{self._claims_max} aside={len(self._aside)}>"

    def __len__(self) -> int:
        return self._count

    def statistics(self) -> ExpiryHintsStatistics:
        return ExpiryHintsStatistics(self._count, len(self._claims), len(self._changed or ()), len(self._aside))

    async def keep_up(self, wait_durable: Callable[[], Awaitable[None]]) -> None:
        """Do what was put aside, one after another, when its caller has the answer. Runs until cancelled.

        Args:
            wait_durable: waits until all that was decided is durable, and so answered.
        """
        while True:
            while not self._aside:
                self._has_aside = anyio.Event()
                await self._has_aside.wait()
            await wait_durable()
            await anyio.sleep(MOMENT_S)
            for _ in range(len(self._aside)):  # not what is put aside meanwhile: it has no answer yet
                if self._aside:
                    self._do_oldest()
                await checkpoint()

    def add(self, reservation: ReservationRecord) -> None:
        """Note a reservation that was just made."""
        self._note_change(reservation)
        self._now_or_later(self._add, reservation)

    def discard(self, reservation: ReservationRecord) -> None:
        """Forget a reservation that is not active any more, if it was noted."""
        self._note_change(reservation)
        self._now_or_later(self._discard, reservation)

    def learn(self, reservations: Sequence[ReservationRecord]) -> None:
        """Note, once, what the database had as active. What changed since then is known better here."""
        changed, self._changed = self._changed, None
        assert changed is not None
        for reservation in reservations:
            if (reservation.organization_id, reservation.reservation_id) not in changed:
                self._add(reservation)

    def _note_change(self, reservation: ReservationRecord) -> None:
        if self._changed is not None:
            self._changed.add((reservation.organization_id, reservation.reservation_id))

    def _add(self, reservation: ReservationRecord) -> None:
        if self._count + len(reservation.items) > self._claims_max:
            return
        for key, claim in _claims_of(reservation):
            claims = self._claims.get(key)
            if claims is None:
                claims = self._claims[key] = RowClaims()
            claims.add(claim)
        self._count += len(reservation.items)

    def _now_or_later(self, note: Callable[[ReservationRecord], None], reservation: ReservationRecord) -> None:
        is_small = len(reservation.items) <= AT_ONCE_MAX
        if is_small and not any(aside.reservation_id == reservation.reservation_id for _, aside in self._aside):
            note(reservation)
            return
        # One that was amended may be forgotten large and noted small, with the same claims: the order must stay.
        self._aside.append((note, reservation))
        if len(self._aside) > ASIDE_MAX:
            self._do_oldest()
        if self._has_aside is not None:
            self._has_aside.set()

    def _do_all(self) -> None:
        while self._aside:
            self._do_oldest()

    def _do_oldest(self) -> None:
        note, reservation = self._aside.popleft()
        note(reservation)

    def _discard(self, reservation: ReservationRecord) -> None:
        for key, claim in _claims_of(reservation):
            claims = self._claims.get(key)
            if claims is not None and claims.discard(claim):
                self._count -= 1
                if claims.is_empty:
                    del self._claims[key]

    def freed_at_ms(self, key: Row, quantity: int) -> int | None:
        """When expiries will have given at least this many pieces back to the row, if that is foreseen."""
        self._do_all()
        claims = self._claims.get(key)
        return None if claims is None else claims.freed_at_ms(quantity)

    def without(self, reservation: ReservationRecord | None) -> Callable[[Row, int], int | None]:
        """`freed_at_ms` where the end of this reservation does not count: what an order has itself does not help it."""
        own: dict[Row, list[Claim]] = {}
        for row, claim in _claims_of(reservation) if reservation is not None else ():
            own.setdefault(row, []).append(claim)

        def freed_at_ms(key: Row, quantity: int) -> int | None:
            self._do_all()
            claims = self._claims.get(key)
            taken = [claim for claim in own.get(key, ()) if claims is not None and claims.discard(claim)]
            at_ms = self.freed_at_ms(key, quantity)
            for claim in taken:
                assert claims is not None
                claims.add(claim)
            return at_ms

        return freed_at_ms


def _claims_of(reservation: ReservationRecord) -> list[tuple[Row, Claim]]:
    what = what_of(reservation.reservation_id)
    return [
        (
            (reservation.organization_id, item.variant_id, item.warehouse_id),
            (reservation.expires_at_ms, what | item.quantity),
        )
        for item in reservation.items
    ]
