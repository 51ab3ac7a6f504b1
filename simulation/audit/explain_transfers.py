"""Answers about transfers: the journal's entry must say what was asked, a refusal must be true of a state."""

from collections.abc import Sequence
from functools import partial
from typing import assert_never

from actors.bounds import INT32_MAX
from actors.commands import Line
from actors.outcomes import QuantityTooLarge, Refusal, TooLargeRow
from actors.queries import GetTransfer, ListTransfers
from actors.records import StockKey
from actors.transfer_commands import CancelTransfer, ReceiveTransfer, ShipTransfer, TransferCommand
from actors.transfer_outcomes import (
    Excess,
    MoreThanSent,
    TransferCancelled,
    TransferExists,
    TransferIsClosed,
    TransferNotFound,
    TransferReceived,
    TransferShipped,
    WarehouseNotFound,
)
from actors.transfer_records import TransferKey, TransferRecord
from actors.views import TransferFound, TransferPage
from actors.warehouse_outcomes import ClosedRow, WarehouseInactive
from simulation.audit.expected import refusal_of
from simulation.audit.explain_goods import at_its_place
from simulation.audit.positions import Explains, Positions
from simulation.audit.sites import NO_SITES
from simulation.audit.wrong import Wrong

FACTS = {ShipTransfer: TransferShipped, ReceiveTransfer: TransferReceived, CancelTransfer: TransferCancelled}


class TransferExplainer(Positions):
    """Explains answers to commands and questions about transfers."""

    def explain_transfers(self, request: TransferCommand, answer: object, low: int, high: int) -> int:
        """The position of an answer. Raises `Wrong`: it has none."""
        if isinstance(answer, TransferShipped | TransferReceived | TransferCancelled):
            return self._explain_done(request, answer.transfer, type(answer), low, high)
        organization = request.organization_id
        variants = list(dict.fromkeys(self._variants(request, high)))
        lsns = [*self._row_lsns(organization, variants), self._replay.transfers.lsns.get(organization, [])]
        return self._smallest(lsns, partial(self._refuses, request, answer), low, high, "G5", answer)

    def explain_transfer_query(
        self, query: GetTransfer | ListTransfers, answer: object
    ) -> tuple[list[Sequence[int]], Explains]:
        """Where the answer may change, and whether a state explains it."""
        return [self._replay.transfers.lsns.get(query.organization_id, [])], partial(self._is_told, query, answer)

    def _is_told(self, query: GetTransfer | ListTransfers, answer: object, lsn: int) -> bool:
        transfers = self._replay.transfers
        if isinstance(query, GetTransfer):
            return answer == TransferFound(transfers.at(TransferKey(query.organization_id, query.transfer_id), lsn))
        found = [
            one
            for one in transfers.of(query.organization_id, lsn)
            if query.state in (None, one.state)
            and query.warehouse_id in ("", one.from_warehouse_id, one.to_warehouse_id)
            and (query.before is None or (one.shipped_at_ms, one.transfer_id) < query.before)
        ]
        page = found[: query.limit]
        while len(page) > 1 and sum(len(one.lines) for one in page) > query.lines_max:
            page.pop()
        more = (page[-1].shipped_at_ms, page[-1].transfer_id) if len(found) > len(page) else None
        return answer == TransferPage(tuple(page), more)

    def _explain_done(self, request: TransferCommand, told: TransferRecord, fact: type, low: int, high: int) -> int:
        transaction = self._replay.transactions[high - 1]
        before = self._replay.transfers.at(told.key, high - 1)
        is_its = told.organization_id == request.organization_id and request.transfer_id in ("", told.transfer_id)
        if transaction.transfer != told or fact is not FACTS[type(request)] or not is_its:
            raise Wrong("G4", f"got {told!r}, but the journal has {transaction!r}", high)
        if _lines_told(told) != _lines_wanted(request, before):
            raise Wrong("G4", f"got {told!r}, which is not what became of {before!r}", high)
        return at_its_place(high, low)

    def _variants(self, request: TransferCommand, lsn: int) -> list[str]:
        if isinstance(request, ShipTransfer):
            return [line.variant_id for line in request.lines]
        transfer = self._replay.transfers.at(TransferKey(request.organization_id, request.transfer_id), lsn)
        return [line.variant_id for line in transfer.lines] if transfer is not None else []

    def _refuses(self, request: TransferCommand, answer: object, lsn: int) -> bool:
        known = self._replay.transfers.at(TransferKey(request.organization_id, request.transfer_id), lsn)
        match request:
            case ShipTransfer():
                return answer is not None and answer == self._why_not_shipped(request, known, lsn)
            case ReceiveTransfer() | CancelTransfer():
                return answer is not None and answer == self._why_not_moved(request, known, lsn)
            case _ as never:
                assert_never(never)

    def _why_not_shipped(self, request: ShipTransfer, known: TransferRecord | None, lsn: int) -> Refusal | None:
        replay, organization = self._replay, request.organization_id
        if known is not None:
            return TransferExists(request.transfer_id)
        places = {one.warehouse_id: one for one in replay.warehouses.at(organization, lsn)}
        unknown = [one for one in (request.from_warehouse_id, request.to_warehouse_id) if one not in places]
        if unknown:
            return WarehouseNotFound(tuple(unknown))
        pieces: dict[str, int] = {}
        for line in request.lines:
            pieces[line.variant_id] = pieces.get(line.variant_id, 0) + line.quantity
        if not places[request.to_warehouse_id].is_active:
            return WarehouseInactive(tuple(ClosedRow(variant, request.to_warehouse_id) for variant in pieces))
        lines = [Line(variant, request.from_warehouse_id, quantity) for variant, quantity in pieces.items()]
        refusal = refusal_of(lines, replay.free_at(organization, list(pieces), lsn), NO_SITES)
        return refusal or self._too_large(organization, request.to_warehouse_id, pieces, lsn)

    def _why_not_moved(
        self, request: ReceiveTransfer | CancelTransfer, known: TransferRecord | None, lsn: int
    ) -> Refusal | None:
        if known is None:
            return TransferNotFound(request.transfer_id)
        if known.state != "in_transit":
            return TransferIsClosed(request.transfer_id, known.state)
        if isinstance(request, CancelTransfer):
            pieces = {line.variant_id: line.sent - line.received - line.damaged - line.missing for line in known.lines}
            return self._too_large(request.organization_id, known.from_warehouse_id, pieces, lsn)
        sent = {line.variant_id: line for line in known.lines}
        excesses = []
        for variant, reported in _reported(request).items():
            line = sent.get(variant)
            open_ = line.sent - line.received - line.damaged - line.missing if line is not None else 0
            if sum(reported) > open_:
                excesses.append(Excess(variant, line.sent if line is not None else 0, open_, sum(reported)))
        if excesses:
            return MoreThanSent(request.transfer_id, tuple(excesses))
        grown = {variant: reported[0] + reported[1] for variant, reported in _reported(request).items()}
        in_order = {line.variant_id: grown.get(line.variant_id, 0) for line in known.lines}
        return self._too_large(request.organization_id, known.to_warehouse_id, in_order, lsn, is_drawn_down=True)

    def _too_large(
        self, organization: str, warehouse: str, pieces: dict[str, int], lsn: int, *, is_drawn_down: bool = False
    ) -> QuantityTooLarge | None:
        rows = []
        for variant, quantity in pieces.items():
            record = self._replay.row_at(StockKey(organization, variant, warehouse), lsn)
            total, on_way = (record.total, record.in_transit) if record is not None else (0, 0)
            grown = total + quantity - (min(quantity, on_way) if is_drawn_down else 0)
            if grown > max(INT32_MAX, total):
                rows.append(TooLargeRow(variant, warehouse, grown))
        return QuantityTooLarge(tuple(rows)) if rows else None


def _reported(request: ReceiveTransfer) -> dict[str, tuple[int, int, int]]:
    reported: dict[str, tuple[int, int, int]] = {}
    for line in request.lines:
        good, bad, lost = reported.get(line.variant_id, (0, 0, 0))
        reported[line.variant_id] = (good + line.quantity, bad + line.damaged, lost + line.missing)
    return reported


def _lines_told(transfer: TransferRecord) -> list[tuple[str, int, int, int, int]]:
    return [(line.variant_id, line.sent, line.received, line.damaged, line.missing) for line in transfer.lines]


def _lines_wanted(request: TransferCommand, before: TransferRecord | None) -> list[tuple[str, int, int, int, int]]:
    """What the lines must be after the request."""
    if isinstance(request, ShipTransfer):
        pieces: dict[str, int] = {}
        for line in request.lines:
            pieces[line.variant_id] = pieces.get(line.variant_id, 0) + line.quantity
        return [(variant, quantity, 0, 0, 0) for variant, quantity in pieces.items()]
    assert before is not None
    if isinstance(request, CancelTransfer):
        return _lines_told(before)
    wanted, reported = [], _reported(request)
    for variant, sent, received, damaged, missing in _lines_told(before):
        good, bad, lost = reported.get(variant, (0, 0, 0))
        if request.close:
            lost = sent - received - damaged - missing - good - bad
        wanted.append((variant, sent, received + good, damaged + bad, missing + lost))
    return wanted
