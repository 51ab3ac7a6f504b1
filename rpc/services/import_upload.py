"""An import on its way from the stream to the core. A small one is one command; the lines of a large one are staged as
they come, so that there are never more than a few thousand of them in memory.
"""

from collections.abc import Callable
from contextlib import suppress
from uuid import uuid4

from actors.commands import AnyImport, Import
from actors.reply import Reply
from actors.staged_rows import LinesStaged
from actors.staged_upload import Upload, UploadStatistics
from actors.unavailable import Unavailable
from rpc.inventory_port import Inventory
from rpc.messages.import_lines import ImportLines
from rpc.messages.rules import Invalid, Violation

STAGED_FROM = 5_000  # lines: fewer are decided within a tenth of a second, in one batch of the journal
LINES_A_PART = 250  # a batch of the journal waits for one: others wait half as long as with 1,000, at the same price
ORGANIZATIONS_MAX = 1_000  # of a large import: the decision, which is one step, writes a row for each …
WAREHOUSES_MAX = 20_000  # … and these


class ImportUpload:
    """The lines of one import, on their way.

    Args:
        inventory: the core.
        new_id: a fresh id.
    """

    def __init__(self, inventory: Inventory, new_id: Callable[[], str] = lambda: uuid4().hex) -> None:
        self._inventory = inventory
        self._new_id = new_id
        self._upload: Upload | None = None
        self._staging: Reply[LinesStaged] | None = None  # one part is written while the next is read

    def __repr__(self) -> str:
        return f"<ImportUpload {self._upload!r}>"

    def statistics(self) -> UploadStatistics:
        return self._upload.statistics() if self._upload is not None else UploadStatistics(0, 0, 0)

    async def take(self, lines: ImportLines) -> None:
        """Stage what has come, if that is much.

        Raises:
            Unavailable: the core is not there; the caller may begin again.
            Invalid: it is too much.
        """
        if lines.held >= (STAGED_FROM if self._upload is None else LINES_A_PART):
            await self._stage(lines)

    async def command(self, lines: ImportLines) -> AnyImport:
        """The command, once the stream has ended.

        Raises:
            Invalid, Refused: see `ImportLines.check`.
            Unavailable: as above.
        """
        if self._upload is None:
            lines.check()
            return Import(lines.taken(), lines.request_id)
        await self._stage(lines)
        await self._settle(lines)
        lines.check()
        return self._upload.whole(lines.request_id)

    def end(self) -> None:
        """Forget what is staged and no decision needs. Called however the import ends."""
        if self._upload is not None:
            with suppress(Unavailable):
                self._inventory.submit(self._upload.dropped())

    async def _stage(self, lines: ImportLines) -> None:
        upload = self._upload = self._upload or Upload(self._new_id())
        held = lines.taken()
        for begin in range(0, len(held), LINES_A_PART):
            command = upload.part(held[begin : begin + LINES_A_PART])
            _check_bounds(upload)
            await self._settle(lines)
            self._staging = self._inventory.submit(command)  # type: ignore[assignment]  # what staging answers

    async def _settle(self, lines: ImportLines) -> None:
        staging, self._staging = self._staging, None
        if staging is not None:
            lines.refuse_repeats((await staging.wait()).repeats)


def _check_bounds(upload: Upload) -> None:
    for what, found, most in (
        ("organizations", upload.organizations, ORGANIZATIONS_MAX),
        ("warehouses", upload.warehouses, WAREHOUSES_MAX),
    ):
        if len(found) > most:
            text = f"an import of {STAGED_FROM:,} lines or more must name at most {most:,} {what}"
            raise Invalid([Violation("lines", text)])
