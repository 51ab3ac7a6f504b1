"""A large import, as the servicer has it carried out: its lines are staged, a few at a time, and then decided."""

from contextlib import suppress

import anyio

from actors.commands import Import
from actors.outcomes import Fact
from actors.staged_rows import LinesStaged
from actors.staged_upload import Upload
from actors.unavailable import Unavailable
from supervisor.supervisor import Supervisor

LINES_A_PART = 2
PAUSE_S = 0.1  # between parts: an upload takes its time, and a process may end on the way
DROP_S_MAX = 60.0


async def staged_import(core: Supervisor, command: Import, upload: Upload) -> Fact:
    """Raises as `Supervisor.ask` does."""
    try:
        for first in range(0, len(command.lines), LINES_A_PART):
            said = await core.ask(upload.part(command.lines[first : first + LINES_A_PART]))
            assert said == LinesStaged(), said
            await anyio.sleep(PAUSE_S)
        return await core.ask(upload.whole(command.request_id))
    finally:
        with suppress(Unavailable):
            dropped = core.submit(upload.dropped())
            with anyio.move_on_after(DROP_S_MAX):  # a caller that gave up does not wait
                await dropped.wait()
