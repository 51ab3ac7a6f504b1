"""The base of values that refer to nothing but text and numbers."""

from msgspec import Struct


class PlainValue(Struct, frozen=True, gc=False):
    """A frozen struct that the cycle collector does not follow, since none can be part of a cycle.

    A reservation of two lines makes ten of them, and a collection that walks through them finds nothing.
    """
