"""Commands with an idempotency key: each key has an actor, so a retry waits for the first try and gets its answer.

The answer is kept in the same transaction as the change, or alone where nothing changed; a late duplicate, even
after a restart, is answered from there. Only answers are kept: a call that met UNAVAILABLE is tried afresh.
"""

from collections.abc import Awaitable, Callable

from actors.actor import Actor, Dispatcher, Envelope
from actors.commands import Command
from actors.idempotency import fingerprint, recall, remember, request_key
from actors.outcomes import Fact, Refusal, Refused, RequestIdReused
from actors.records import RequestKey, RequestRecord
from actors.reply import Reply
from supervisor.activations.bloom_filter import KnownKeys
from supervisor.activations.directory import Directory, DirectoryStatistics
from supervisor.transactions.journal import Journal

CarryOut = Callable[[Command, Reply[Fact]], Awaitable[None]]


class RequestActor(Actor[Command, Fact]):
    """One idempotency key.

    Args:
        key: the idempotency key.
        load: reads what was answered under it.
        may_be_known: whether something may have been answered under it.
        carry_out: has the command done; its answer is given when it is durable.
    """

    __slots__ = ("_carry_out", "_load", "_must_load", "_record", "key")

    def __init__(
        self,
        key: RequestKey,
        load: Callable[[], Awaitable[RequestRecord | None]],
        may_be_known: bool,
        carry_out: CarryOut,
        dispatcher: Dispatcher,
        on_crash: Callable[[Actor[Command, Fact], Exception], None],
        mailbox_messages_max: int,
    ) -> None:
        super().__init__(dispatcher, on_crash, mailbox_messages_max)
        self.key = key
        self._load = load
        self._must_load = may_be_known
        self._carry_out = carry_out
        self._record: RequestRecord | None = None

    def __repr__(self) -> str:
        return f"<RequestActor {self.key.scope}/{self.key.request_id} {'answered' if self._record else 'open'}>"

    @property
    def is_quiet(self) -> bool:
        """The activation may be dropped: its answer, if it has one, is durable, since a turn ends only then."""
        return self.is_idle

    async def receive(self, envelope: Envelope[Command, Fact]) -> None:
        """Answer from memory, or have the command carried out and remember its answer."""
        if self._must_load:
            self._record = await self._load()
            self._must_load = False
        command, reply = envelope
        if self._record is None:
            done: Reply[Fact] = Reply()
            try:
                await self._carry_out(command, done)
                fact = await done.wait()
            except Refused as refused:
                self._record = remember(command, refused.refusal)
                raise
            except Exception:
                self._must_load = True  # it may have been decided before whoever carried it out crashed
                raise
            self._record = remember(command, fact)
            reply.set(fact)
        elif self._record.fingerprint != fingerprint(command):
            raise Refused(RequestIdReused(self.key.request_id))
        else:
            outcome = recall(self._record)
            if isinstance(outcome, Refusal):
                raise Refused(outcome)
            reply.set(outcome)


class RequestDirectory:
    """Activates idempotency keys.

    Args:
        journal: what must be durable before the database is asked.
        read: what was answered under a key, from the database.
        carry_out: has a command done.
        dispatcher: runs the actors' turns.
        report_crash: told of an actor that met a bug, after its activation was dropped.
        activations_max: keys in memory.
        mailbox_messages_max: messages that a key's mailbox holds.
    """

    def __init__(
        self,
        journal: Journal,
        read: Callable[[RequestKey], Awaitable[RequestRecord | None]],
        carry_out: CarryOut,
        dispatcher: Dispatcher,
        report_crash: Callable[[object, Exception], None],
        *,
        activations_max: int,
        mailbox_messages_max: int,
    ) -> None:
        self._journal = journal
        self._read = read
        self._carry_out = carry_out
        self._dispatcher = dispatcher
        self._report_crash = report_crash
        self._mailbox_messages_max = mailbox_messages_max
        self._directory: Directory[RequestKey, RequestActor] = Directory(activations_max)
        self.known = KnownKeys()

    def ask(self, command: Command, reply: Reply[Fact]) -> None:
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
                self._dispatcher,
                self._drop_crashed,
                self._mailbox_messages_max,
            )
            self._directory.add(key, actor)
        actor.ask(command, reply)

    def note(self, request: RequestRecord) -> None:
        """An answer was decided under this key."""
        self.known.add(request.key)

    def passivate_idle(self) -> None:
        """Drop what was not used since the last time."""
        self._directory.sweep()

    def statistics(self) -> DirectoryStatistics:
        return self._directory.statistics()

    def _load_of(self, key: RequestKey) -> Callable[[], Awaitable[RequestRecord | None]]:
        async def load() -> RequestRecord | None:
            await self._journal.wait_durable()
            return await self._read(key)

        return load

    def _drop_crashed(self, actor: Actor[Command, Fact], error: Exception) -> None:
        assert isinstance(actor, RequestActor)
        self._directory.remove(actor.key, actor)
        self._report_crash(actor, error)
