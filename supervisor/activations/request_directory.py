"""Which idempotency keys are in memory.

A key that the filter does not know is certainly new, and costs no read; any other is looked up once the journal is
durable, since its answer may be on its way to the disk.
"""

from collections.abc import Awaitable, Callable, Iterator

from actors.actor import Actor, Dispatcher
from actors.commands import KeyedCommand
from actors.idempotency import request_key
from actors.outcomes import Fact
from actors.records import RequestKey, RequestRecord
from actors.reply import Reply
from actors.request_actor import CarryOut, Give, RequestActor
from actors.turn import Doing, Turn
from supervisor.activations.bloom_filter import BloomFilter
from supervisor.activations.directory import Directory, DirectoryStatistics


class RequestDirectory:
    """Activates idempotency keys.

    Args:
        wait_durable: returns when everything decided so far is in the database.
        read: what was answered under a key, from the database.
        carry_out: does a command.
        give: gives an answer that is durable.
        dispatcher: runs the actors' turns.
        report_crash: told of an actor that met a bug, after its activation was dropped.
        activations_max: keys in memory.
        mailbox_messages_max: messages that a key's mailbox holds.
    """

    def __init__(
        self,
        wait_durable: Callable[[], Awaitable[None]],
        read: Callable[[RequestKey], Awaitable[RequestRecord | None]],
        carry_out: CarryOut,
        give: Give,
        dispatcher: Dispatcher,
        report_crash: Callable[[object, Exception], None],
        *,
        activations_max: int,
        mailbox_messages_max: int,
    ) -> None:
        self._wait_durable = wait_durable
        self._read = read
        self._carry_out = carry_out
        self._give = give
        self._dispatcher = dispatcher
        self._report_crash = report_crash
        self._mailbox_messages_max = mailbox_messages_max
        self._directory: Directory[RequestKey, RequestActor] = Directory(activations_max)
        self.known = BloomFilter()

    def __repr__(self) -> str:
        return f"<RequestDirectory {self._directory!r}>"

    def ask(self, command: KeyedCommand, reply: Reply[Fact]) -> None:
        """Post a command to the mailbox of its idempotency key.

        Raises:
            Unavailable: the mailbox is full.
        """
        key = request_key(command)
        assert key is not None
        actor = self._directory.get(key)
        if actor is None:
            actor = RequestActor(
                key,
                self._load_of(key),
                self.known.may_contain(key),
                self._carry_out,
                self._give,
                self._dispatcher,
                self._drop_crashed,
                self._mailbox_messages_max,
            )
            self._directory.add(key, actor)
        actor.ask(command, reply)

    def note(self, request: RequestRecord) -> None:
        """An answer was decided under this key."""
        self.known.add(request.key)

    def passivate_idle(self) -> Iterator[None]:
        """Drop what was not used since the last time, in steps."""
        for _ in self._directory.sweep():
            yield

    def statistics(self) -> DirectoryStatistics:
        return self._directory.statistics()

    def _load_of(self, key: RequestKey) -> Callable[[], Turn[RequestRecord | None]]:
        def load() -> Turn[RequestRecord | None]:
            yield Doing(self._wait_durable)
            record: RequestRecord | None = yield Doing(lambda: self._read(key))
            return record

        return load

    def _drop_crashed(self, actor: Actor[KeyedCommand, Fact], error: Exception) -> None:
        assert isinstance(actor, RequestActor)
        self._directory.remove(actor.key, actor)
        self._report_crash(actor, error)
