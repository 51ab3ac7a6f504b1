"""The part of the Store port that is asked when nothing is to be written: for a moment, or since a crowd has gone."""

from typing import Protocol


class RestingStore(Protocol):
    """A database that has memory of its own."""

    async def let_go(self) -> bool:
        """Give up what only makes the next reads and writes faster. Returns whether there was any to speak of.

        >>> await store.let_go()
        False
        """
        ...

    async def catch_up(self) -> None:
        """Do what the next batches would have to do otherwise, if that is little. None waits, but the next may come.

        >>> await store.catch_up()
        """
        ...
