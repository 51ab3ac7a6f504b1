"""The report of a run, for people."""

import msgspec

from actors.basket_commands import ReserveBasket
from actors.commands import (
    Adjust,
    Amend,
    Announce,
    Command,
    Confirm,
    Deduct,
    Delete,
    DeliveryLine,
    DropStaged,
    Expire,
    Extend,
    Fulfill,
    Import,
    ImportStaged,
    Line,
    Reacquire,
    Receive,
    Release,
    Reserve,
    StageLines,
)
from actors.queries import CheckBasket, GetStock
from actors.records import Transaction
from actors.transfer_commands import CancelTransfer, ReceiveTransfer, ShipTransfer
from actors.warehouse_commands import SetLevels, SetSourcing, UpsertWarehouse
from simulation.audit.guarantee_violation import GuaranteeViolation
from simulation.audit.history import Note, Operation
from simulation.faults import Options, options_of
from simulation.runner import Result

STEPS_TOLD = 24


def summary(result: Result) -> str:
    """One line, which ends with the trace hash."""
    return (
        f"seed {result.seed}: {result.steps:,} steps, {result.operations} operations, "
        f"{result.transactions} journal entries, "
        f"{result.virtual_s:,.0f} s of virtual time in {result.real_s:.2f} s, trace {result.trace_hash}"
    )


def failure(result: Result, *, salt: str = "", bug: str = "", backend: str = "trio", disk: str = "memory") -> str:
    """The seed, the violated guarantee, the last steps that matter, and how to see it again."""
    first = result.violations[0]
    lines = [f"seed {result.seed} FAILED: {first}", "", "the last steps that matter:"]
    lines += [f"  {line}" for line in _steps(result, first)]
    if len(result.violations) > 1:
        lines.append(f"and {len(result.violations) - 1} more violations, the next: {result.violations[1]}")
    lines += ["", "again with:", f"  {replay(result, salt=salt, bug=bug, backend=backend, disk=disk)}"]
    return "\n".join(lines)


def replay(result: Result, *, salt: str = "", bug: str = "", backend: str = "trio", disk: str = "memory") -> str:
    """The command that runs exactly this again."""
    command = f"stockkeeper simulate --seed {result.seed}"
    changed = difference(int(result.seed), result.options)
    if changed:
        command += f" --options '{changed}'"
    usual = {"salt": "", "bug": "", "backend": "trio", "disk": "memory"}
    given = {"salt": salt, "bug": bug, "backend": backend, "disk": disk}
    for name, value in given.items():
        if value != usual[name]:
            command += f" --{name} {value}"
    return command


def difference(seed: int, options: Options) -> str:
    """The options that are not the seed's own, as JSON; empty if there are none."""
    usual = msgspec.to_builtins(options_of(seed))
    changed = {name: value for name, value in msgspec.to_builtins(options).items() if usual[name] != value}
    return msgspec.json.encode(changed).decode() if changed else ""


def _steps(result: Result, violation: GuaranteeViolation) -> list[str]:
    operations = result.history.operations
    about = operations[violation.operation] if 0 <= violation.operation < len(operations) else None
    words = _words_of(about.request) if about is not None else set()
    last = len(result.history.notes)
    for place, note in enumerate(result.history.notes):
        if isinstance(note.about, Operation) and note.about is about and note.what == "gets":
            last = place + 1
        elif note.what.startswith("VIOLATION") or (violation.lsn and _has_lsn(note, violation.lsn) and about is None):
            last = place + 1
            break
    chosen = [note for note in result.history.notes[:last] if _matters(note, about, words)]
    return [_line(note) for note in chosen[-STEPS_TOLD:]]


def _has_lsn(note: Note, lsn: int) -> bool:
    return note.what == "disk" and any(transaction.lsn == lsn for transaction in note.about)


def _words_of(request: object) -> set[str]:
    """The variants, orders and reservations that a request is about."""
    words = {getattr(request, name, "") for name in ("variant_id", "order_id", "reservation_id", "request_id")}
    words |= {line.variant_id for line in getattr(request, "lines", ())}
    return words - {""}


def _matters(note: Note, about: Operation | None, words: set[str]) -> bool:
    if about is None or note.about is None or note.about is about:
        return True
    if isinstance(note.about, Operation):
        return bool(words & _words_of(note.about.request)) and not isinstance(
            note.about.request, CheckBasket | GetStock
        )
    touched: set[str] = set()
    for transaction in note.about:
        touched |= {change.after.variant_id for change in transaction.changes}
        if transaction.reservation is not None:
            touched |= {transaction.reservation.order_id, transaction.reservation.reservation_id}
        if transaction.request is not None:
            touched.add(transaction.request.request_id)
    return bool(words & touched)


def _line(note: Note) -> str:
    when = f"{note.at_s:10.4f} s  step {note.step:6}  "
    about = note.about
    if isinstance(about, Operation):
        text = f"{about.client} {note.what} "
        shown = f"#{about.number} {brief(about.request)}"
        return when + text + (shown if note.what == "asks" else f"{shown}: {brief(about.answer)}")
    if note.what == "disk":
        return when + "disk has " + "; ".join(_entry(transaction) for transaction in about)
    return when + note.what


def _entry(transaction: Transaction) -> str:
    rows = ", ".join(
        f"{change.after.variant_id}@{change.after.warehouse_id} "
        f"available {change.before.available} → {change.after.available}"
        for change in transaction.changes
    )
    reservation = transaction.reservation
    what = f" {reservation.reservation_id} of {reservation.order_id}" if reservation is not None else ""
    return f"LSN {transaction.lsn} {transaction.kind}{what} ({rows or 'no rows'})"


def brief(value: object) -> str:
    """A request or an answer, shortened."""
    if value is None:
        return "nothing that it could rely on"
    text = _command(value) if isinstance(value, Command) else repr(value)
    return text if len(text) < 200 else text[:197] + "…"


def _command(command: Command) -> str:
    match command:
        case Reserve():
            key = f" key {command.request_id}" if command.request_id else ""
            return f"Reserve {command.order_id}: {', '.join(map(_line_of_basket, command.lines))}{key}"
        case ReserveBasket():
            wishes = ", ".join(
                f"{one.quantity} {one.variant_id}@{'/'.join(one.warehouse_ids) or 'any'}" for one in command.wishes
            )
            options = f"{' split' * command.allow_split}{' partial' * command.allow_partial}"
            return f"ReserveBasket {command.order_id}: {wishes}{options} key {command.request_id}"
        case Confirm() | Release():
            return f"{type(command).__name__} {command.reservation_id}"
        case Expire() | ImportStaged() | StageLines() | DropStaged():
            return repr(command)
        case Fulfill():
            lines = "".join(f", {_line_of_basket(line)}" for line in command.lines)
            rest = " and close" if command.close else ""
            return f"Fulfill {command.reservation_id}{lines}{rest} key {command.request_id}"
        case Amend():
            return f"Amend {command.reservation_id} to {', '.join(map(_line_of_basket, command.lines))}"
        case Reacquire():
            return f"Reacquire {command.reservation_id} for {command.ttl_minutes} min key {command.request_id}"
        case Extend():
            return f"Extend {command.reservation_id} by {command.ttl_minutes} min key {command.request_id}"
        case Receive() | Announce() | Deduct():
            lines = ", ".join(map(_line_of_basket, command.lines))
            return f"{type(command).__name__} {lines} key {command.request_id}"
        case Adjust():
            lines = ", ".join(f"{one.kind} {one.pieces} {one.variant_id}@{one.warehouse_id}" for one in command.lines)
            return f"Adjust {lines} key {command.request_id}"
        case Delete():
            return f"Delete {command.variant_id}@{command.warehouse_id} key {command.request_id}"
        case UpsertWarehouse():
            return f"UpsertWarehouse {command.warehouse_id} active={command.is_active} key {command.request_id}"
        case ShipTransfer() | ReceiveTransfer() | CancelTransfer() | SetSourcing():
            return repr(command)
        case SetLevels():
            lines = ", ".join(f"{one.variant_id}@{one.warehouse_id}" for one in command.lines)
            return f"SetLevels {lines} key {command.request_id}"
        case Import():
            lines = ", ".join(f"{line.variant_id}@{line.warehouse_id} {line.total}" for line in command.lines)
            return f"Import {lines} key {command.request_id}"


def _line_of_basket(line: Line | DeliveryLine) -> str:
    return f"{line.quantity} {line.variant_id}@{line.warehouse_id or 'any'}"
