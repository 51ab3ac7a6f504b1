"""Exceptions as one sees them from outside of the task groups that gather them."""

from collections.abc import Iterator


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The errors in an exception group, in those inside of it too; an error that is no group is its own only leaf.

    >>> group = ExceptionGroup("two", [ValueError("a"), ExceptionGroup("one", [KeyError("b")])])
    >>> list(leaves(group))
    [ValueError('a'), KeyError('b')]
    """
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def only_cause(error: BaseException) -> BaseException:
    """What is in a group of one, and in a group of one in it; else the error itself.

    >>> only_cause(ExceptionGroup("one", [ExceptionGroup("one", [KeyError("b")])]))
    KeyError('b')
    """
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
