"""How grpcio's binding makes an object of each field of a call's metadata: by less than it does of its own accord.

It calls a class derived from a named tuple, whose constructor is a function of Python's that calls another one: 0.26 us
a field. A call may have hundreds of fields, and thousands of calls may come at one moment, each of which must be taken
from gRPC before the next is seen. The same objects can be had for half.
"""

from collections.abc import Callable
from typing import Any

from grpc._cython import cygrpc  # type: ignore[attr-defined]  # not in the stubs


def lighten_metadata() -> None:
    """Have fields made so in this process. It may be called many times."""
    field = cygrpc._Metadatum
    if isinstance(field, type) and issubclass(field, tuple):
        cygrpc._Metadatum = _constructor(field)


def _constructor(field: type[tuple[Any, ...]]) -> Callable[[str, Any], tuple[Any, ...]]:
    new = tuple.__new__

    def make(key: str, value: Any) -> tuple[Any, ...]:
        return new(field, (key, value))

    return make
