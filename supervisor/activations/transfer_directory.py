"""Which transfers are in memory, and how many lines these have: one of a thousand takes as much as 200 small ones.

A transfer comes back hours or days later, when its goods arrive, so little is lost by reading it again.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence

from actors.actor import Actor, Dispatcher
from actors.outcomes import Fact
from actors.reply import Reply
from actors.transfer_actor import TransferActor, TransferServices
from actors.transfer_commands import TransferCommand
from actors.transfer_records import TransferKey, TransferRecord
from actors.turn import Doing, Turn, awaited
from supervisor.activations.directory import Directory, DirectoryStatistics

Read = Callable[[str, str], Awaitable[TransferRecord | None]]
LOOKS_FOR_LINES = 100  # small ones may come first


class TransferDirectory:
    """Activates transfers.

    Args:
        services: what transfer actors work with.
        wait_durable: returns when everything decided so far is in the database.
        read: a transfer by its organization and id, from the database.
        new_transfer_id: a fresh id for a transfer that is given none.
        dispatcher: runs the actors' turns.
        report_crash: told of an actor that met a bug, after its activation was dropped.
        activations_max: transfers in memory.
        lines_max: lines that these have; beyond it transfers that are not in use go, as beyond the other.
        mailbox_messages_max: messages that a transfer's mailbox holds.
    """

    def __init__(
        self,
        services: TransferServices,
        wait_durable: Callable[[], Awaitable[None]],
        read: Read,
        new_transfer_id: Callable[[], str],
        dispatcher: Dispatcher,
        report_crash: Callable[[object, Exception], None],
        *,
        activations_max: int,
        lines_max: int,
        mailbox_messages_max: int,
    ) -> None:
        self._services = services
        self._wait_durable = wait_durable
        self._read = read
        self._new_transfer_id = new_transfer_id
        self._dispatcher = dispatcher
        self._report_crash = report_crash
        self._mailbox_messages_max = mailbox_messages_max
        self._directory: Directory[TransferKey, TransferActor] = Directory(activations_max)
        self._lines_max = lines_max
        self._lines_of: dict[TransferKey, int] = {}
        self._lines = 0

    def __repr__(self) -> str:
        return f"<TransferDirectory {self._directory!r}>"

    def carry_out(self, command: TransferCommand) -> Turn[Fact]:
        """Have a command carried out by its transfer's actor. Raises `Refused` and `Unavailable` when it runs."""
        key = TransferKey(command.organization_id, command.transfer_id or self._new_transfer_id())
        answer: Reply[Fact] = Reply()
        self._activate(key).ask(command, answer)
        return (yield from awaited(answer))

    def note(self, transfer: TransferRecord) -> None:
        """What becomes of a transfer was decided. It keeps the lines that it was shipped with."""
        if transfer.key not in self._lines_of and self._directory.get(transfer.key) is not None:
            self._count(transfer)

    def passivate_idle(self) -> Iterator[None]:
        """Drop what was not used since the last time, in steps."""
        for passivated in self._directory.sweep():
            self._forget(passivated)
            yield

    def statistics(self) -> DirectoryStatistics:
        return self._directory.statistics()

    def _activate(self, key: TransferKey) -> TransferActor:
        actor = self._directory.get(key)
        if actor is None:
            actor = TransferActor(
                key, self._services, self._load, self._dispatcher, self._drop_crashed, self._mailbox_messages_max
            )
            if self._lines > self._lines_max:
                self._forget(self._directory.passivate(LOOKS_FOR_LINES))
            self._forget(self._directory.add(key, actor))
        return actor

    def _load(self, key: TransferKey) -> Turn[TransferRecord | None]:
        yield Doing(self._wait_durable)  # what a crash dropped may be on its way to the disk
        record: TransferRecord | None = yield Doing(lambda: self._read(*key))
        if record is not None:
            self.note(record)
        return record

    def _drop_crashed(self, actor: Actor[TransferCommand, Fact], error: Exception) -> None:
        assert isinstance(actor, TransferActor)
        self._directory.remove(actor.key, actor)
        self._forget([actor])
        self._report_crash(actor, error)

    def _count(self, transfer: TransferRecord) -> None:
        self._lines_of[transfer.key] = len(transfer.lines)
        self._lines += len(transfer.lines)

    def _forget(self, actors: Sequence[TransferActor]) -> None:
        for actor in actors:
            self._lines -= self._lines_of.pop(actor.key, 0)
