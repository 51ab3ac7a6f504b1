"""Imports, as a router has them: each cell gets the lines of its organizations, and decides them by itself.

The lines of a cell are imported all or none, and no line without those of its cell. Over several cells there is no such
promise: each has the request's id with its own lines, so the same import again is answered by those that have done
theirs, and done by the others.
"""

from collections.abc import Callable, Collection
from functools import partial
from typing import NamedTuple

import anyio
from msgspec.structs import replace

from actors.cell_records import WrongCell
from actors.commands import AnyImport, CountedLine, DropStaged, Import, ImportStaged, StageLines
from actors.outcomes import Fact, Refused, StockImported
from actors.reply import Reply
from actors.staged_rows import LinesStaged, Repeat, StagedDropped
from actors.staged_upload import Upload
from actors.unavailable import cell_away, moving
from cells.asking_again import Pauses, TimeLeft, final, passes
from cells.import_parts import CellOutcome, merged
from cells.owner_port import Owner
from cells.whereabouts import Whereabouts


class RoutedImportsStatistics(NamedTuple):
    """Imports that are under way in parts."""

    uploads: int


class RoutedImports:
    """Imports over several owners.

    Args:
        whereabouts: finds the cell of an organization.
        owner_of: the owner of a cell. Raises `Unavailable`: there is none now.
        wait_s: how long a part is asked again, in seconds.
        asking: tells of the caller that asks now in how many seconds it gives up.
    """

    def __init__(
        self,
        whereabouts: Whereabouts,
        owner_of: Callable[[str], Owner],
        wait_s: float,
        asking: Callable[[], TimeLeft],
    ) -> None:
        self._whereabouts = whereabouts
        self._owner_of = owner_of
        self._wait_s = wait_s
        self._asking = asking
        self._uploads: dict[str, dict[str, Upload]] = {}  # the part of each cell, of each large import

    def __repr__(self) -> str:
        return f"<RoutedImports uploads={len(self._uploads)}>"

    def statistics(self) -> RoutedImportsStatistics:
        return RoutedImportsStatistics(len(self._uploads))

    async def ask(self, command: AnyImport) -> Fact:
        """Import. Raises what `Owner.ask` does."""
        if isinstance(command, ImportStaged):
            return merged(await self._staged_parts(command))
        return merged(await self._parts(command))

    # ---- in one command -------------------------------------------------------------------------------------------

    async def _parts(self, command: Import) -> list[CellOutcome]:
        """What each cell says; an organization that moves meanwhile is looked for again."""
        pauses, error, cell = Pauses(self._wait_s, self._asking()()), None, ""
        with anyio.move_on_at(pauses.gives_up_at_s):
            while await pauses.after(error):
                try:
                    by_cell = await self._by_cell(command.lines)
                    if len(by_cell) > 1:
                        parts = [replace(command, lines=tuple(lines)) for lines in by_cell.values()]
                        return await self._all([partial(self._parts, part) for part in parts])
                    [cell] = by_cell
                    return [CellOutcome(cell, _imported(await self._owner_of(cell).ask(command)))]
                except Exception as again:  # noqa: BLE001 - it is the caller's
                    if not passes(again):
                        return [CellOutcome(cell, again)]
                    error = again
        return [CellOutcome(cell, final(error) if error is not None else cell_away())]

    # ---- in parts -------------------------------------------------------------------------------------------------

    async def stage(self, command: StageLines | DropStaged) -> Fact:
        """Hand lines on, or forget them. Raises what `Owner.submit` and its reply do."""
        if isinstance(command, DropStaged):
            return await self._drop(command)
        uploads = self._uploads.setdefault(command.import_id, {})
        by_cell = await self._by_cell(command.lines)
        replies: list[Reply[Fact]] = []
        for cell, lines in by_cell.items():
            upload = uploads.get(cell)
            if upload is None:
                upload = uploads[cell] = Upload(command.import_id)
            replies.append(self._owner_of(cell).submit(upload.part(lines)))
        repeats: list[Repeat] = []
        for reply in replies:
            staged = await reply.wait()
            assert isinstance(staged, LinesStaged), staged
            repeats += staged.repeats
        return LinesStaged(tuple(sorted(repeats, key=lambda repeat: repeat.line_number)))

    async def _drop(self, command: DropStaged) -> Fact:
        for cell in self._uploads.pop(command.import_id, {}):
            await self._owner_of(cell).submit(command).wait()
        return StagedDropped()

    async def _staged_parts(self, command: ImportStaged) -> list[CellOutcome]:
        """Once: with an owner that is gone, what was staged is gone too."""
        uploads = self._uploads[command.import_id]
        parts = {cell: replace(one.whole(command.request_id), origin=command.origin) for cell, one in uploads.items()}
        return await self._all([partial(self._staged_part, cell, part) for cell, part in parts.items()])

    async def _staged_part(self, cell: str, part: ImportStaged) -> list[CellOutcome]:
        try:
            return [CellOutcome(cell, _imported(await self._owner_of(cell).ask(part)))]
        except Exception as error:  # noqa: BLE001 - it is the caller's
            has_moved = isinstance(error, Refused) and isinstance(error.refusal, WrongCell)
            return [CellOutcome(cell, moving() if has_moved else error)]

    # ---- both -----------------------------------------------------------------------------------------------------

    async def _all(self, parts: Collection[Callable[[], object]]) -> list[CellOutcome]:
        """All at the same time."""
        outcomes: list[CellOutcome] = []

        async def decide(part: Callable[[], object]) -> None:
            outcomes.extend(await part())  # type: ignore[misc]

        async with anyio.create_task_group() as tasks:
            for part in parts:
                tasks.start_soon(decide, part)
        return sorted(outcomes, key=lambda one: one.cell)

    async def _by_cell(self, lines: Collection[CountedLine]) -> dict[str, list[CountedLine]]:
        """The lines of each cell, in their order. Raises `Unavailable`."""
        cells: dict[str, str] = {}
        by_cell: dict[str, list[CountedLine]] = {}
        for line in lines:
            cell = cells.get(line.organization_id)
            if cell is None:
                cell = cells[line.organization_id] = await self._whereabouts.sure(line.organization_id)
            by_cell.setdefault(cell, []).append(line)
        return by_cell


def _imported(fact: Fact) -> StockImported:
    assert isinstance(fact, StockImported), fact
    return fact
