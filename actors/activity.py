"""What a whole server does, for those who run it. It names no organization and no goods."""

from msgspec import Struct

from actors.plain_value import PlainValue


class WrittenBatch(PlainValue, frozen=True):
    """A batch of the journal, and how long the database took for it."""

    transactions: int
    commit_us: int


class CountedRefusal(PlainValue, frozen=True):
    """How often a kind of refusal was given: the name of its type, and of an adjustment the cause."""

    name: str
    count: int


class Activity(Struct, frozen=True, tag=True):
    """Counts since the core began; `recent` has the last batches, oldest first."""

    last_lsn: int
    durable_lsn: int
    batches: int
    transactions: int
    answers_waiting: int
    recent: tuple[WrittenBatch, ...]
    refusals: tuple[CountedRefusal, ...]
