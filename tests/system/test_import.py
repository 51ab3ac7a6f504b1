"""`stockkeeper import` against a real server: what a file sets, what it leaves, and what is said of a bad one."""

from pathlib import Path

import pytest
from stockkeeper_client import InventoryClient

from tests.system.servers import run_cli, running_server

pytestmark = pytest.mark.anyio

NEEDED = "organization_id,variant_id,warehouse_id,total_quantity"
ALL = f"{NEEDED},damaged_quantity,in_transit_quantity,min_stock,max_stock,warehouse_name"


async def row(client: InventoryClient, variant: str = "mug") -> tuple[int | str, ...]:
    [info] = (await client.get_stock_info("shop", variant)).stock_info
    figures = (info.total_quantity, info.available_quantity, info.damaged_quantity, info.in_transit_quantity)
    return (*figures, info.min_stock, info.max_stock, info.warehouse_name)


async def test_what_a_file_does_not_say_stays_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "stock.csv"
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        target = ("--target", f"localhost:{server.port}")
        file.write_text(f"{ALL}\nshop,mug,madrid,120,20,30,10,400,Madrid\n")
        assert (await run_cli("import", str(file), *target))[0] == 0
        assert await row(client) == (120, 70, 20, 30, 10, 400, "Madrid")
        for text in (f"{NEEDED}\nshop,mug,madrid,120\n", f"{ALL}\nshop,mug,madrid,120,,,,,\n"):
            file.write_text(text)
            assert (await run_cli("import", str(file), *target))[:2] == (
                0,
                "1 line: 0 rows created, 0 changed, 1 unchanged.\n",
            )
        file.write_text(f"{NEEDED},max_stock\nshop,mug,madrid,110,0\nshop,cup,madrid,5,\n")
        assert (await run_cli("import", str(file), *target))[0] == 0
        assert await row(client) == (110, 60, 20, 30, 10, 0, "Madrid")
        assert await row(client, "cup") == (5, 5, 0, 0, 0, 0, "Madrid")
