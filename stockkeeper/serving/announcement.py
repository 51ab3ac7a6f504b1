"""What follows when the inventory begins to serve, and when it stops: for the network, the log, other programs."""

from collections.abc import Callable
from typing import Protocol

import structlog

from rpc.messages.responses import timestamp
from storage.store import Ownership

log = structlog.get_logger("stockkeeper")


class TakesNotice(Protocol):
    """The network: it answers questions of health."""

    def set_serving(self, serving: bool) -> None: ...


class Announcement:
    """Tells the network whether the inventory serves. The inventory is made first, and the network before it runs."""

    def __init__(self) -> None:
        self.network: TakesNotice | None = None
        self._then: Callable[[], None] | None = None
        self._each_time: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return f"<Announcement to {self.network}>"

    def set_serving(self, serving: bool) -> None:
        if self.network is not None:
            self.network.set_serving(serving)
        if serving:
            self._begin()

    def when_serving(self, is_serving: bool, then: Callable[[], None], each_time: Callable[[], None]) -> None:
        """Call `then` once, when the inventory serves for the first time, and `each_time` from then on."""
        self._then, self._each_time = then, each_time
        if is_serving:
            self._begin()

    def _begin(self) -> None:
        then, self._then = self._then, None
        if self._each_time is not None:
            self._each_time()
        if then is not None:
            then()


class TakeoverLog:
    """Says whose the database was before, once for each epoch."""

    def __init__(self) -> None:
        self._epoch = 0

    def __repr__(self) -> str:
        return f"<TakeoverLog epoch={self._epoch}>"

    def note(self, ownership: Ownership | None) -> None:
        if ownership is None or ownership.epoch == self._epoch:
            return
        self._epoch = ownership.epoch
        if ownership.epoch > 1:
            log.info("took_over", previous_owner=ownership.previous_owner, epoch=ownership.epoch)
        if ownership.last_lsn:
            log.info("recovered", last_lsn=ownership.last_lsn, last_at=timestamp(ownership.last_at_ms))
