"""A command under way, from its caller's point of view."""

from collections.abc import Callable

from actors.outcomes import Fact, Refused, Unavailable
from actors.reply import Event, Reply
from supervisor.ownership.lease import Lease


class Call(Reply[Fact]):
    """A command under way: until it is answered, whether or not its caller still waits.

    An outcome is given only while the lease holds, and otherwise after the next proof of ownership.
    """

    __slots__ = ("_event_type", "_lease", "_open_calls")

    def __init__(self, open_calls: dict[Reply[Fact], None], lease: Lease, event_type: Callable[[], Event]) -> None:
        super().__init__()
        self._open_calls = open_calls
        self._lease = lease
        self._event_type = event_type
        open_calls[self] = None

    def set(self, value: Fact) -> None:
        if self._lease.holds:
            super().set(value)
        else:
            self._give_later(value, None)

    def fail(self, error: Exception) -> None:
        if not isinstance(error, Refused) or self._lease.holds:
            super().fail(error)
        else:
            self._give_later(None, error)

    def _give_later(self, value: Fact | None, error: Refused | None) -> None:
        proof = self._lease.next_proof()

        def give() -> None:
            if self.is_done:
                return  # the incarnation has ended meanwhile, and has said so
            try:
                proof.result()
            except Unavailable as lost:
                self.fail(lost)
                return
            if error is not None:
                Reply.fail(self, error)
            else:
                assert value is not None
                Reply.set(self, value)

        proof.when_done(give)

    def _new_event(self) -> Event:
        return self._event_type()

    def _wake(self) -> None:
        self._open_calls.pop(self, None)
        super()._wake()
