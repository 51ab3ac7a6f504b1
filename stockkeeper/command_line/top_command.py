"""`stockkeeper top`: what happens, live."""

import sys

from stockkeeper_client import InventoryClient

from stockkeeper.command_line.parameters import DEFAULT_TARGET, Target
from stockkeeper.command_line.server_call import call
from stockkeeper.config import ConfigurationError


def top(organization_id: str, /, *, target: Target = DEFAULT_TARGET) -> int:
    """Show live what an organization's stock does, until q is pressed: rows that change most, what is low, reservations
    that are about to run out, and of the whole server what was refused and how the journal writes.
    """
    try:
        from stockkeeper.command_line.top_screen import TopScreen  # needs the extra `top`
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("textual",):
            raise
        raise ConfigurationError("`stockkeeper top` needs textual: pip install 'stockkeeper[top]'.") from None
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigurationError("`stockkeeper top` draws on a terminal; in a pipe, use `stockkeeper watch --json`.")

    async def run(client: InventoryClient) -> int:
        await TopScreen(client, organization_id).run_async()
        return 0

    return call(target, run)
