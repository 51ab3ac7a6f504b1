"""Runs the examples in docstrings, also those that await something, as `python -m asyncio` would."""

import ast
import doctest
import inspect
import io
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from types import FunctionType
from typing import Any

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def examples_of(documented: object) -> list[doctest.Example]:
    return doctest.DocTestParser().get_examples(inspect.getdoc(documented) or "")


def public_functions_of(kind: type) -> Iterator[str]:
    """The names of what a user calls on an object of this class and finds written there."""
    for name, member in vars(kind).items():
        if not name.startswith("_") and (inspect.isroutine(member) or isinstance(member, property)):
            yield name


async def run_examples(documented: object, **names: Any) -> None:
    """Run the examples of a docstring, one after another, with these names.

    Raises:
        AssertionError: there is none, or one says something else.
        Exception: whatever one raises.
    """
    examples = examples_of(documented)
    assert examples, f"{documented} has no example that runs"
    for example in examples:
        said = await _run(example.source, names)
        agrees = doctest.OutputChecker().check_output(example.want, said, OPTIONS)
        assert agrees, f"{example.source}says {said!r} and not {example.want!r}"


async def _run(source: str, names: dict[str, Any]) -> str:
    """What an interactive session would print."""
    code = compile(source, "<example>", "single", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    said, hook = io.StringIO(), sys.displayhook
    sys.displayhook = sys.__displayhook__
    try:
        with redirect_stdout(said):
            running = FunctionType(code, names)()
            if inspect.iscoroutine(running):
                await running
    finally:
        sys.displayhook = hook
    return said.getvalue()
