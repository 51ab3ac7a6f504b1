"""Takes the pictures of the documents: `python docs/site/screenshots.py FOLDER`.

A real server is started, real commands are run in a terminal of their own, and what they draw there is kept.
"""

import asyncio
import os
import pty
import re
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text
from stockkeeper_client import InventoryClient
from textual.pilot import Pilot

from stockkeeper.command_line.top_screen import TopScreen

PROGRAM = str(Path(sys.executable).with_name("stockkeeper"))
COLUMNS = 110
TOP_COLUMNS = 140
STOCK = """organization_id,variant_id,warehouse_id,warehouse_name,total_quantity,min_stock,reorder_point
shop,mug,madrid,Madrid,120,10,20
shop,mug,lisbon,Lisbon,30,10,20
shop,teapot,madrid,Madrid,9,8,12
shop,tea-green,lisbon,Lisbon,64,10,15
"""


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        stock = Path(scratch, "stock.csv")
        stock.write_text(STOCK)
        for name, svg in asyncio.run(pictures(stock)).items():
            # Without the fonts that it would fetch from another site: the reader's own serve.
            (folder / name).write_text(re.sub(r"@font-face {.*?}\s*", "", svg, flags=re.DOTALL))


async def pictures(stock: Path) -> dict[str, str]:
    """Each picture by its name, of a server with this stock and some orders."""
    process, port = await started(stock.parent)
    try:
        target = ("--target", f"localhost:{port}")
        await drawn("import", str(stock), *target)
        for number in range(1, 9):
            await drawn("reserve", "shop", f"order-{number}", "mug:2@madrid", "teapot:1", *target)
        await drawn("reserve", "shop", "order-9", "teapot:9", *target)
        shown = ("stock", "shop"), ("explain", "shop", "mug:110", "teapot:1", "--split")
        drawings = {f"{words[0]}.svg": picture(words, await drawn(*words, *target)) for words in shown}
        return drawings | {"top.svg": await top_screen(port)}
    finally:
        process.terminate()
        await process.wait()


async def started(scratch: Path) -> tuple[asyncio.subprocess.Process, int]:
    """A server with an empty database, and its port."""
    database = f"sqlite+aiosqlite:///{scratch}/stock.db"
    process = await asyncio.create_subprocess_exec(
        *(PROGRAM, "serve", "--port", "0", "--database-url", database),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    said = (await process.stdout.readline()).decode()
    found = re.search(r" listens on \S+?:(\d+)[ ,]", said)
    if found is None:
        raise SystemExit("The server did not start.")
    return process, int(found[1])


async def drawn(*command: str) -> str:
    """What a command draws on a terminal."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(PROGRAM, *command),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": "40"},
    )
    os.close(theirs)
    read = asyncio.to_thread(_everything, ours)
    text, _ = await asyncio.gather(read, process.wait())
    return text


def _everything(terminal: int) -> str:
    pieces = []
    try:
        while piece := os.read(terminal, 65_536):
            pieces.append(piece)
    except OSError:  # a terminal without programs ends so
        pass
    os.close(terminal)
    return b"".join(pieces).decode().replace("\r\n", "\n")


def picture(words: Sequence[str], text: str) -> str:
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        console.print(Text(f"$ stockkeeper {shlex.join(words)}"))
        console.print(Text.from_ansi(text.rstrip()))
        return console.export_svg(title="stockkeeper", unique_id=words[0])


async def top_screen(port: int) -> str:
    """What `stockkeeper top shop` shows while orders come in."""
    async with InventoryClient("localhost", port) as client:
        screen = TopScreen(client, "shop")
        async with screen.run_test(size=(TOP_COLUMNS, 34)) as pilot:
            await _busy(client, screen, pilot)
            return screen.export_screenshot(title="stockkeeper top shop")


async def _busy(client: InventoryClient, screen: TopScreen, pilot: Pilot[None]) -> None:
    for number in range(20, 40):
        await client.reserve_stock("shop", f"order-{number}", [{"variant_id": "tea-green", "quantity": 1}])
        await client.reserve_stock("shop", f"order-{number}-2", [{"variant_id": "mug", "quantity": 1}])
    for _ in range(8):
        await screen.look()
        await pilot.pause(0.2)


if __name__ == "__main__":
    main()
