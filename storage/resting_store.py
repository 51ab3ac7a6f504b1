"""The part of the Store port that is asked for when a crowd has gone."""

from typing import Protocol


class RestingStore(Protocol):
    """A database that has memory of its own."""

    async def let_go(self) -> bool:
        """Give up what only makes the next reads and writes faster. Returns whether there was any to speak of.

        >>> await store.let_go()
        False
        """
        ...
