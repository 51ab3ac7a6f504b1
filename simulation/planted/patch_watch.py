"""Tells a planted bug that lies, as it should, from one whose own code fails.

A patch that is called with what it does not expect, or that names what is not there any more, breaks every run. That is
no catch: the guarantee that a bug breaks is never looked at. So each function of a patch is called by way of a wrapper,
which counts how often it is reached and notes what fails in it.
"""

import traceback
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from pathlib import Path
from types import FunctionType
from typing import Any

MISTAKES = (TypeError, AttributeError, NameError, LookupError, ArithmeticError)
"""What code raises that does not fit the code around it."""
_HERE = str(Path(__file__).parent)
_TOLD_MAX = 3


class PatchWatch:
    """What became of the patches of a bug while runs lasted.

    Args:
        intended: failures that are the bug itself.
    """

    def __init__(self, intended: tuple[type[Exception], ...] = ()) -> None:
        self._intended = intended
        self._reached: Counter[str] = Counter()
        self._functions = 0
        self.broken: list[str] = []

    def __repr__(self) -> str:
        return f"<PatchWatch reached={self.statistics()} broken={len(self.broken)}>"

    def statistics(self) -> dict[str, int]:
        """How often each function was called."""
        return dict(self._reached)

    @property
    def is_reached(self) -> bool:
        """Whether a run came by. A patch that is no function, a figure or a statement, counts as reached."""
        return bool(self._reached) or not self._functions

    def watched(self, name: str, replacement: Any) -> Any:
        """The replacement, with a wrapper around what is called in it."""
        if isinstance(replacement, property) and replacement.fget is not None:
            return property(self.watched(name, replacement.fget))
        if isinstance(replacement, staticmethod):
            return staticmethod(self.watched(name, replacement.__func__))
        if not isinstance(replacement, FunctionType) or isasyncgenfunction(replacement):
            return replacement
        self._functions += 1
        return wraps(replacement)(self._wrapper(name, replacement))

    def _wrapper(self, name: str, right: Callable[..., Any]) -> Callable[..., Any]:
        def called(*args: Any, **named: Any) -> Any:
            with self._watching(name, right):
                return right(*args, **named)

        async def awaited(*args: Any, **named: Any) -> Any:
            with self._watching(name, right):
                return await right(*args, **named)

        def generated(*args: Any, **named: Any) -> Generator[Any, Any, Any]:
            with self._watching(name, right):
                return (yield from right(*args, **named))

        return awaited if iscoroutinefunction(right) else generated if isgeneratorfunction(right) else called

    @contextmanager
    def _watching(self, name: str, right: Callable[..., Any]) -> Iterator[None]:
        self._reached[name] += 1
        try:
            yield
        except Exception as error:
            self._note(name, right, error)
            raise

    def _note(self, name: str, right: Callable[..., Any], error: Exception) -> None:
        """A mistake anywhere below a patch, or a failure of Python's own in one, is a failure of the patch itself."""
        if isinstance(error, self._intended):
            return
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if frame.filename.startswith((_HERE, right.__code__.co_filename))]
        fails_itself = own[-1] is frames[-1] and type(error).__module__ == "builtins"
        if (fails_itself or isinstance(error, MISTAKES)) and len(self.broken) < _TOLD_MAX:
            self.broken.append(f"{name}: {error!r} at {Path(own[-1].filename).name}:{own[-1].lineno}")
