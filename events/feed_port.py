"""What the relay asks of the inventory: `server_feed` asks a server, the simulation its core."""

from typing import Protocol

from msgspec import Struct

from actors.changes import Point
from actors.history_feed import FeedPage


class FeedAway(Exception):
    """The inventory does not answer now. Its text is one sentence."""


class CursorLost(Exception):
    """Another relay has the cursor, or it was dropped."""


class FeedRefused(Exception):
    """What is asked for can never be had, such as history that is not kept. Its text is one sentence."""


class Held(Struct, frozen=True):
    """A cursor that this relay has.

    Args:
        lease_s: how long it may publish, from before it asked.
    """

    name: str
    fence: int
    point: Point
    lease_s: float
    database_id: str


class Progress(Struct, frozen=True):
    """What a relay says of itself. Counts are of what happened since it said so last."""

    point: Point | None = None
    published: int = 0
    unroutable: int = 0
    rate: float = 0.0
    problem: str = ""
    is_release: bool = False


class HistoryFeed(Protocol):
    """The inventory. Every method may raise `FeedAway` and `FeedRefused`."""

    async def take(self, name: str, begin: str) -> Held:
        """Have a cursor.

        Args:
            begin: a token or a time to begin anew from; empty: where it stands.

        Raises:
            CursorLost: another relay has it.
        """
        ...

    async def move(self, held: Held, progress: Progress) -> None:
        """Say that this relay is still there, and how far it is. Raises `CursorLost`."""
        ...

    async def read(self, after: Point, rows_max: int, wait_ms: int) -> FeedPage:
        """What happened behind a place, or an empty page if nothing has for so long."""
        ...
