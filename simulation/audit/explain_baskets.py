"""Reservations of baskets that say from where their goods may come, judged by the journal and by the state."""

from collections.abc import Sequence

from actors.basket_commands import ReserveBasket, Short, asked_of
from actors.outcomes import BasketReserved, InsufficientStock, ReservationExists
from actors.records import OrderKey, ReservationRecord
from simulation.audit.expected import STATES_OF_A_REPEAT
from simulation.audit.expected_basket import ExpectedBasket, expect
from simulation.audit.history import Operation
from simulation.audit.places import Places
from simulation.audit.replay import basket_of
from simulation.audit.wrong import Wrong


def basket_asked(request: ReserveBasket) -> object:
    """What the basket's reservation shows that it was asked for."""
    lines = [(wish.variant_id, "".join(wish.warehouse_ids), wish.quantity) for wish in request.wishes]
    return asked_of(request) or sorted(lines)


class BasketExplainer(Places):
    """Explains answers to these requests."""

    def explain_basket(self, operation: Operation, request: ReserveBasket, answer: object, low: int, high: int) -> int:
        """The position of an answer. Raises `Wrong`: it has none."""
        replay, order = self._replay, OrderKey(request.organization_id, request.order_id)
        orders = replay.latest.get(order)
        lsns: list[Sequence[int]] = [orders.lsns] if orders is not None else []
        if isinstance(answer, BasketReserved):
            return self._explain_held(operation, request, answer, lsns, low, high)
        if orders is not None:
            lsns += [replay.reservations[order.organization_id, one].lsns for one in orders.values]
        variants = list(dict.fromkeys(wish.variant_id for wish in request.wishes))

        def exists(lsn: int) -> bool:
            latest = replay.latest_at(order, lsn)
            if latest is None or not latest.holds_stock or basket_of(latest) == basket_asked(request):
                return False
            return answer == ReservationExists(latest.reservation_id)

        def refuses(lsn: int) -> bool:
            latest = replay.latest_at(order, lsn)
            if latest is not None and (latest.holds_stock or self._is_known(operation, request, latest)):
                return False
            expected = expect(request, *replay.open_at(request.organization_id, variants, lsn)).refusal
            if isinstance(answer, InsufficientStock) and isinstance(expected, InsufficientStock):
                is_same = answer.shortages == expected.shortages
                return is_same and self._is_hinted(operation, request, answer, high, lsn)
            return answer == expected and expected is not None

        if isinstance(answer, ReservationExists):
            return self._smallest(lsns, exists, low, high, "G6", answer)
        lsns += self._row_lsns(request.organization_id, variants)
        lsns.append(replay.reservation_lsns.get(request.organization_id, []))  # a hint hangs on them
        return self._smallest(lsns, refuses, low, high, "G5", answer)

    def _is_known(self, operation: Operation, request: ReserveBasket, latest: ReservationRecord) -> bool:
        """Whether this is the basket of an order that was shipped, and the service still knows it."""
        is_same = latest.state == "fulfilled" and basket_of(latest) == basket_asked(request)
        return is_same and not self._is_moved(request.organization_id, latest.reservation_id, operation.moves)

    def _explain_held(
        self,
        operation: Operation,
        request: ReserveBasket,
        answer: BasketReserved,
        lsns: Sequence[Sequence[int]],
        low: int,
        high: int,
    ) -> int:
        made, order = answer.reservation, OrderKey(request.organization_id, request.order_id)
        timeline = self._timeline(made, high)
        if made.order != order:
            raise Wrong("G11", f"got the reservation of {made.order}")
        if basket_of(made) != basket_asked(request) or answer.short != _short(request, made):
            raise Wrong("G2", f"got {answer!r}: not what it asked for")
        self._check_basket(operation, request, timeline.values[0], timeline.first_lsn)

        def is_theirs(lsn: int) -> bool:
            return self._replay.latest_at(order, lsn) == made and made.state in STATES_OF_A_REPEAT

        return self._smallest([*lsns, timeline.lsns], is_theirs, low, high, "G4", answer)

    def _check_basket(self, operation: Operation, request: ReserveBasket, made: ReservationRecord, lsn: int) -> None:
        """See that it took what it may, no less than there was, and where nothing else was under way, from where."""
        if why := _why_not_allowed(request, made):
            raise Wrong("G2", f"{made!r} {why}", lsn)
        variants = list(dict.fromkeys(wish.variant_id for wish in request.wishes))
        if _short(request, made):
            expected = expect(request, *self._replay.open_at(request.organization_id, variants, lsn - 1))
            if expected.there != _pieces(request, made):
                raise Wrong("G5", f"{made!r} falls short, and {expected!r} was there", lsn)
        since = operation.undisturbed_since_lsn
        if 0 <= since < lsn:
            states = [
                expect(request, *self._replay.open_at(request.organization_id, variants, n)) for n in range(since, lsn)
            ]
            if not any(_is_served_so(request, made, one) for one in states):
                raise Wrong("G4", f"got {made!r}: these are not the warehouses that the contract names", lsn)


def _pieces(request: ReserveBasket, made: ReservationRecord) -> dict[str, int]:
    pieces = {wish.variant_id: 0 for wish in request.wishes}
    for item in made.items:
        pieces[item.variant_id] = pieces.get(item.variant_id, 0) + item.quantity
    return pieces


def _short(request: ReserveBasket, made: ReservationRecord) -> tuple[Short, ...]:
    asked: dict[str, int] = {}
    for wish in request.wishes:
        asked[wish.variant_id] = asked.get(wish.variant_id, 0) + wish.quantity
    has = _pieces(request, made)
    return tuple(Short(variant, pieces, has[variant]) for variant, pieces in asked.items() if has[variant] < pieces)


def _why_not_allowed(request: ReserveBasket, made: ReservationRecord) -> str:
    """Why the reservation is none of those that the basket allows; empty if it is one."""
    if not request.allow_partial and _short(request, made):
        return "holds less than was asked for"
    if not request.allow_split and len(made.items) > len(request.wishes):
        return "splits what may not be split"
    for variant, pieces in _pieces(request, made).items():
        wishes = [wish for wish in request.wishes if wish.variant_id == variant]
        if pieces > sum(wish.quantity for wish in wishes):
            return f"holds {pieces} of {variant}"
        allowed = {one for wish in wishes for one in wish.warehouse_ids}
        taken = {item.warehouse_id for item in made.items if item.variant_id == variant}
        if all(wish.warehouse_ids for wish in wishes) and not taken <= allowed:
            return f"takes {variant} from {sorted(taken - allowed)}"
    return ""


def _is_served_so(request: ReserveBasket, made: ReservationRecord, expected: ExpectedBasket) -> bool:
    """Whether its wishes come from these warehouses, as far as the rule leaves no choice."""
    if expected.refusal is not None:
        return False
    unserved = {w.variant_id for w, served in zip(request.wishes, expected.served, strict=True) if served is None}
    taken = [item.warehouse_id for item in made.items if item.variant_id not in unserved]
    return taken == [one for served in expected.served for one in served or ()]
