"""Whether a patch fits what it replaces, as far as that shows without a run: it is there, and is called alike."""

import inspect
from collections.abc import Callable, Iterator
from inspect import Parameter
from typing import Any

from simulation.planted.planting import Bug


def misfits(bug: Bug) -> Iterator[str]:
    """What is wrong with the patches of a bug, in sentences."""
    for target, attribute, replacement in bug.patches():
        name = f"{getattr(target, '__name__', target)}.{attribute}"
        if not hasattr(target, attribute):
            yield f"{name} is not there any more"
            continue
        replaced, by = _bare(inspect.getattr_static(target, attribute)), _bare(replacement)
        if inspect.isfunction(replaced) and inspect.isfunction(by):
            yield from _called_otherwise(name, replaced, by)


def _bare(value: Any) -> Any:
    return value.__func__ if isinstance(value, staticmethod | classmethod) else value


def _called_otherwise(name: str, replaced: Callable[..., Any], by: Callable[..., Any]) -> Iterator[str]:
    if inspect.iscoroutinefunction(replaced) != inspect.iscoroutinefunction(by):
        yield f"of {name} and its replacement only one is awaited"
    signature, taken = inspect.signature(replaced), inspect.signature(by)
    named = {one.name: None for one in signature.parameters.values() if one.kind is Parameter.KEYWORD_ONLY}
    places = [
        one
        for one in signature.parameters.values()
        if one.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    ]
    needed = [one for one in places if one.default is Parameter.empty]
    for count in sorted({len(needed), len(places)}):
        try:
            taken.bind(*[None] * count, **named)
        except TypeError as error:
            yield f"{name}{signature} is replaced by what takes {taken}: {error}"
            return
