"""Transactions that come while a batch is being written, and become durable with it.

A basket of 1,000 lines takes SQLite 9 ms. A small order that comes at its beginning would wait for it, and then for a
batch of its own, whose thread shares Python's lock with the next large request. What is already there when all of the
batch is written but nothing is durable yet may as well go with it: no other commit, and no wait.

That is safe for the reason that a batch is: it follows the batch without a gap, it was judged against it, and the
database has both or neither. The store asks once, at the last moment.
"""

from collections.abc import Callable, Sequence

from actors.records import Transaction

Latecomers = Callable[[], Sequence[Transaction]]
"""Takes them: in their order, none if there are none. Called once at most, on the thread that writes."""


def no_latecomers() -> Sequence[Transaction]:
    """For a batch that is written as it is.

    >>> no_latecomers()
    ()
    """
    return ()
