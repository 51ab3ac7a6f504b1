"""How far a long command has come, on stderr if that is a terminal. What takes less than a second shows nothing."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from threading import Timer
from time import monotonic
from typing import Self, TypeVar

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

SHOWN_AFTER_S = 1.0
THINGS_A_STEP = 500

T = TypeVar("T")


@contextmanager
def working(text: str) -> Iterator[None]:
    """Shows what is done and for how long, for the length of a block that may hold this thread."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    progress = Progress(*columns, console=console, transient=True)
    progress.add_task(text, total=None)
    if not console.is_terminal:
        yield
        return
    begin = Timer(SHOWN_AFTER_S, progress.start)
    begin.start()
    try:
        yield
    finally:
        begin.cancel()
        begin.join()
        progress.stop()


class Counting:
    """Shows how many things have come, for the length of a block.

    Args:
        things: what they are, in the plural.
        is_shown: False: nothing is shown.
    """

    def __init__(self, things: str, *, is_shown: bool = True) -> None:
        console = Console(stderr=True)
        columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} {task.description}"), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console, transient=True)
        self._task = self._progress.add_task(things, total=None)
        self._is_shown = is_shown and console.is_terminal
        self._began_s = monotonic()
        self._running = ExitStack()

    def __repr__(self) -> str:
        return f"<Counting shown={self._is_shown} since={self._began_s:.1f}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._running.close()

    async def counted(self, things: AsyncIterator[T]) -> AsyncIterator[T]:
        """The things, as they come."""
        number = 0
        async for thing in things:
            number += 1
            if number % THINGS_A_STEP == 0 and self._is_shown:
                self._show(number)
            yield thing

    def _show(self, number: int) -> None:
        if monotonic() - self._began_s < SHOWN_AFTER_S:
            return
        if not self._progress.live.is_started:
            self._running.enter_context(self._progress)
        self._progress.update(self._task, completed=number)
