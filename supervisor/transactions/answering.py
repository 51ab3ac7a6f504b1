"""How a turn that decides a keyed command ends: its answer is given when it is durable, and a refusal is remembered."""

from actors.commands import KeyedCommand
from actors.idempotency import remember
from actors.outcomes import Fact, Outcome, Refused
from actors.reply import Reply
from actors.turn import Turn, awaited
from actors.two_phase import NOTHING_PREPARED
from supervisor.clock import ServiceClock
from supervisor.transactions.coordinator import Coordinator
from supervisor.transactions.journal import Journal


class Answering:
    """Where turns of keyed commands end."""

    def __init__(self, clock: ServiceClock, coordinator: Coordinator, journal: Journal) -> None:
        self.clock = clock
        self.coordinator = coordinator
        self._journal = journal

    def __repr__(self) -> str:
        return f"<Answering {self._journal!r}>"

    def answered(self, command: KeyedCommand, deciding: Turn[Fact]) -> Turn[Fact]:
        """The turn that decides, and then waits until its outcome is durable.

        Raises:
            Refused: as `deciding` did; it is remembered.
        """
        answered: Reply[Fact]
        try:
            fact = yield from deciding
        except Refused as refused:
            self.remember(command, refused.refusal)
            answered = self._journal.answered(error=refused)
        else:
            answered = self._journal.answered(fact)
        return (yield from awaited(answered))

    def remember(self, command: KeyedCommand, outcome: Outcome) -> None:
        """Keep an answer that changed nothing."""
        request = remember(command, outcome)
        self.coordinator.decide(NOTHING_PREPARED, "remember", self.clock.now_ms(), request=request)
