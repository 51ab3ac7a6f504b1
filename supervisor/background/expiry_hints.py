"""When stock may come back: what a refused caller is told to wait for.

For each row the claims of active reservations are kept in the order of their expiry. It is a hint and nothing
rests on it: a reservation may be confirmed or released before, and beyond `claims_max` new claims are not
noted.

To note a basket of 1,000 lines takes as long as to decide it, and it would be noted in the step that decides it, for
which others wait. So what is large is put aside, and noted in another turn of the event loop, or before that when a
caller is refused.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct

from actors.records import ReservationRecord
from supervisor.background.row_claims import Claim, RowClaims, what_of

CLAIMS_MAX = 200_000
AT_ONCE_MAX = 100  # items: 0.1 ms
ASIDE_MAX = 10  # reservations: what is put aside is bounded, also where `catch_up` is not called


Row = tuple[str, str, str]
"""An `actors.records.StockKey`, or its like: plain tuples cost a fraction, and each order needs several."""


class ExpiryHintsStatistics(Struct, frozen=True):
    """What is noted now.

    Args:
        claims: of reservations on rows.
        rows: that have any.
        changed: reservations to be left out when the database's are learned.
    """

    claims: int
    rows: int
    changed: int


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
        self._is_undertaken = False
        self._aside: list[tuple[Callable[[ReservationRecord], None], ReservationRecord]] = []

    def __repr__(self) -> str:
        return f"<ExpiryHints claims={self._count}/{self._claims_max}>"

    def __len__(self) -> int:
        return self._count

    @property
    def is_behind(self) -> bool:
        """Whether something is put aside."""
        return bool(self._aside)

    def undertake(self) -> bool:
        """Whether the caller is to call `catch_up`, in another turn of the event loop: one is while this is behind."""
        if self._is_undertaken or not self._aside:
            return False
        self._is_undertaken = True
        return True

    def statistics(self) -> ExpiryHintsStatistics:
        self.catch_up()
        return ExpiryHintsStatistics(self._count, len(self._claims), len(self._changed or ()))

    def add(self, reservation: ReservationRecord) -> None:
        """Note a reservation that was just made."""
        self._note_change(reservation)
        self._now_or_later(self._add, reservation)

    def discard(self, reservation: ReservationRecord) -> None:
        """Forget a reservation that is not active any more, if it was noted."""
        self._note_change(reservation)
        self._now_or_later(self._discard, reservation)

    def catch_up(self) -> None:
        """Do what was put aside, in its order: no reservation is forgotten before it is noted."""
        self._is_undertaken = False
        aside, self._aside = self._aside, []
        for note, reservation in aside:
            note(reservation)

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
        if len(reservation.items) <= AT_ONCE_MAX:
            note(reservation)  # never before its like: what is forgotten has as many items as when it was noted
            return
        self._aside.append((note, reservation))
        if len(self._aside) > ASIDE_MAX:
            self.catch_up()

    def _discard(self, reservation: ReservationRecord) -> None:
        for key, claim in _claims_of(reservation):
            claims = self._claims.get(key)
            if claims is not None and claims.discard(claim):
                self._count -= 1
                if claims.is_empty:
                    del self._claims[key]

    def freed_at_ms(self, key: Row, quantity: int) -> int | None:
        """When expiries will have given at least this much back to the row, if that is foreseen."""
        self.catch_up()
        claims = self._claims.get(key)
        return None if claims is None else claims.freed_at_ms(quantity)


def _claims_of(reservation: ReservationRecord) -> list[tuple[Row, Claim]]:
    what = what_of(reservation.reservation_id)
    return [
        (
            (reservation.organization_id, item.variant_id, item.warehouse_id),
            (reservation.expires_at_ms, what | item.quantity),
        )
        for item in reservation.items
    ]
