"""The actor that owns one transfer.

Its shipment, its receipts and its cancellation queue here, so each builds on what the one before it decided: no piece
is received twice, or received and given back. The rows of both warehouses change in the same transaction as the
transfer, on the one path: a turn takes holds on them, looks whether they still say what it had counted on, and decides.
"""

from collections.abc import Callable, Mapping
from typing import Protocol, assert_never

from actors.actor import Actor, Dispatcher, Envelope
from actors.basket import plan
from actors.bounds import INT32_MAX
from actors.closed_warehouses import refuse_closed
from actors.commands import Line
from actors.idempotency import remember
from actors.order_services import Answers, Clock, Rows
from actors.outcomes import Fact, Outcome, QuantityTooLarge, Refused, TooLargeRow
from actors.records import Delta, TransactionKind
from actors.row_changes import Change
from actors.sourcing import USUAL, Sourcing
from actors.stock_actor import StockActor
from actors.transfer import arrival, cancelled, recall, received, shipped
from actors.transfer_commands import CancelTransfer, ReceiveTransfer, ShipTransfer, TransferCommand
from actors.transfer_outcomes import (
    TransferCancelled,
    TransferExists,
    TransferNotFound,
    TransferReceived,
    TransferShipped,
    WarehouseNotFound,
)
from actors.transfer_records import TransferKey, TransferRecord
from actors.turn import Turn
from actors.two_phase import NOTHING_PREPARED, Prepared, TwoPhase
from actors.variant_stock import Pinned, VariantStock

Loads = Callable[[TransferKey], Turn[TransferRecord | None]]
OnCrash = Callable[[Actor[TransferCommand, Fact], Exception], None]
Changes = list[tuple[StockActor, Change]]
Variants = Mapping[str, VariantStock]


class TransferRows(Rows, Protocol):
    """The stock rows, among them those that a transfer makes, and the warehouses."""

    def row(self, variant: VariantStock, warehouse_id: str) -> StockActor:
        """The row's actor; one for a row that does not exist yet if need be."""
        ...

    def knows(self, organization_id: str, warehouse_id: str) -> bool:
        """Whether there is such a warehouse."""
        ...


class TransferServices:
    """What every transfer actor of an incarnation works with."""

    __slots__ = ("answers", "clock", "rows", "two_phase")

    def __init__(self, clock: Clock, two_phase: TwoPhase, answers: Answers, rows: TransferRows) -> None:
        self.clock = clock
        self.two_phase = two_phase
        self.answers = answers
        self.rows = rows

    def __repr__(self) -> str:
        return f"<TransferServices {self.answers!r} {self.rows!r}>"


class TransferActor(Actor[TransferCommand, Fact]):
    """One transfer.

    Args:
        key: the transfer.
        services: what it works with.
        load: reads the transfer, None if there is none.
    """

    __slots__ = ("_is_loaded", "_last_lsn", "_load", "_services", "key", "transfer")

    def __init__(
        self,
        key: TransferKey,
        services: TransferServices,
        load: Loads,
        dispatcher: Dispatcher,
        on_crash: OnCrash,
        mailbox_messages_max: int,
    ) -> None:
        super().__init__(dispatcher, on_crash, mailbox_messages_max)
        self.key = key
        self._services = services
        self._load = load
        self._is_loaded = False
        self._last_lsn = 0
        self.transfer: TransferRecord | None = None

    def __repr__(self) -> str:
        state = self.transfer.state if self.transfer else "unknown"
        return f"<TransferActor {self.key.organization_id}/{self.key.transfer_id} {state}>"

    @property
    def is_quiet(self) -> bool:
        """The activation may be dropped."""
        return self.is_idle and self._last_lsn <= self._services.answers.durable_lsn

    def handle(self, envelope: Envelope[TransferCommand, Fact]) -> Turn[None]:
        """Carry out one command. It is answered once all that the answer rests on is durable."""
        if not self._is_loaded:
            self.transfer = yield from self._load(self.key)
            self._is_loaded = True
        command = envelope.message
        try:
            if isinstance(command, ShipTransfer):
                fact = yield from self._ship(command)
            else:
                fact = yield from self._end(command)
        except Refused as refused:
            self._remember(command, refused.refusal)
            self._services.answers.answer(envelope.reply, error=refused)
        else:
            self._services.answers.answer(envelope.reply, fact)

    # ---- the shipment -----------------------------------------------------------------------------------------------

    def _ship(self, command: ShipTransfer) -> Turn[Fact]:
        if self.transfer is not None:
            raise Refused(TransferExists(self.key.transfer_id))
        services = self._services
        wanted = (command.organization_id, dict.fromkeys(line.variant_id for line in command.lines))
        with Pinned((yield from services.rows.load(*wanted))) as variants:
            while True:
                sourcing = services.rows.sourcing(command.organization_id)
                transfer = shipped(command, self.key.transfer_id, services.clock.now_ms())
                changes = yield from self._departure(transfer, variants, sourcing)
                prepared = yield from services.two_phase.prepare(changes)
                if isinstance(prepared, Prepared):
                    if services.rows.sourcing(command.organization_id) is sourcing:
                        return self._decided(command, prepared, shipped(command, *self._now))
                    prepared.abort()
                # What the rows had was taken meanwhile, or the destination was closed: look again.

    @property
    def _now(self) -> tuple[str, int]:
        return self.key.transfer_id, self._services.clock.now_ms()

    def _departure(self, transfer: TransferRecord, variants: Variants, sourcing: Sourcing) -> Turn[Changes]:
        """What the shipment changes. Raises `Refused`."""
        rows, sender, destination = self._services.rows, transfer.from_warehouse_id, transfer.to_warehouse_id
        unknown = [one for one in (sender, destination) if not rows.knows(self.key.organization_id, one)]
        if unknown:
            raise Refused(WarehouseNotFound(tuple(unknown)))
        refuse_closed([Line(line.variant_id, destination, line.sent) for line in transfer.lines], sourcing.closed)
        # A closed warehouse may be emptied.
        wanted = [Line(line.variant_id, sender, line.sent) for line in transfer.lines]
        taken = yield from plan(wanted, variants, USUAL)
        changes: Changes = []
        for line, row in zip(transfer.lines, taken, strict=True):
            changes.append((row, Delta(-line.sent)))
            changes.append((rows.row(variants[line.variant_id], destination), Delta(in_transit=line.sent)))
        _see_that_they_fit(changes)
        return changes

    # ---- what becomes of it -----------------------------------------------------------------------------------------

    def _end(self, command: ReceiveTransfer | CancelTransfer) -> Turn[Fact]:
        """Take in some of what is on its way, or give back all of it."""
        before = self.transfer
        if before is None:
            raise Refused(TransferNotFound(command.transfer_id))
        _after(command, before, 0)  # which sees whether it can be done
        services = self._services
        wanted = (command.organization_id, dict.fromkeys(line.variant_id for line in before.lines))
        with Pinned((yield from services.rows.load(*wanted))) as variants:
            while True:
                changes = self._changes(command, before, variants)
                prepared = yield from services.two_phase.prepare(changes)
                if not isinstance(prepared, Prepared):
                    continue
                with prepared:
                    if self._changes(command, before, variants) == changes:
                        return self._decided(command, prepared, _after(command, before, services.clock.now_ms()))
                prepared.abort()

    def _changes(
        self, command: ReceiveTransfer | CancelTransfer, before: TransferRecord, variants: Variants
    ) -> Changes:
        """What the command changes in the rows as they stand. Raises `Refused`: a total would be too large."""
        row, after = self._services.rows.row, _after(command, before, 0)
        changes: Changes = []
        for line, line_after in zip(before.lines, after.lines, strict=True):
            variant = variants[line.variant_id]
            destination = row(variant, before.to_warehouse_id)
            if isinstance(command, ReceiveTransfer):
                changes.append((destination, arrival(line, line_after, destination.state.record)))
            else:
                changes.append((destination, recall(line, destination.state.record)))
                changes.append((row(variant, before.from_warehouse_id), Delta(line.open)))
        changes = [change for change in changes if change[1] != Delta()]
        _see_that_they_fit(changes)
        return changes

    def _decided(self, command: TransferCommand, prepared: Prepared, transfer: TransferRecord) -> Fact:
        services = self._services
        with prepared:
            fact = _fact_of(command, transfer)
            transaction = services.two_phase.decide(
                prepared,
                KIND_OF_TRANSFER[type(command)],
                services.clock.now_ms(),
                request=remember(command, fact),
                transfer=transfer,
                reference=command.reference,
                reason=command.reason,
                origin=command.origin,
            )
        self._last_lsn = transaction.lsn
        self.transfer = transfer
        return fact

    def _remember(self, command: TransferCommand, outcome: Outcome) -> None:
        services, request = self._services, remember(command, outcome)
        services.two_phase.decide(NOTHING_PREPARED, "remember", services.clock.now_ms(), request=request)


KIND_OF_TRANSFER: dict[type[TransferCommand], TransactionKind] = {
    ShipTransfer: "ship_transfer",
    ReceiveTransfer: "receive_transfer",
    CancelTransfer: "cancel_transfer",
}


def _after(command: ReceiveTransfer | CancelTransfer, before: TransferRecord, at_ms: int) -> TransferRecord:
    """The transfer after the command. Raises `Refused`."""
    if isinstance(command, CancelTransfer):
        return cancelled(before, at_ms)
    return received(before, command.lines, command.close, at_ms)


def _fact_of(command: TransferCommand, transfer: TransferRecord) -> Fact:
    match command:
        case ShipTransfer():
            return TransferShipped(transfer)
        case ReceiveTransfer():
            return TransferReceived(transfer)
        case CancelTransfer():
            return TransferCancelled(transfer)
        case _ as never:
            assert_never(never)


def _see_that_they_fit(changes: Changes) -> None:
    """Raises `Refused` where a total would exceed 2^31-1."""
    too_large = [
        TooLargeRow(row.key.variant_id, row.key.warehouse_id, total)
        for row, delta in changes
        if isinstance(delta, Delta) and delta.total > 0 and (total := row.state.record.total + delta.total) > INT32_MAX
    ]
    if too_large:
        raise Refused(QuantityTooLarge(tuple(too_large)))
