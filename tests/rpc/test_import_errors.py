"""A bad import names each bad line, as far as the caller: through the client, the program and the file's own check."""

from pathlib import Path

import grpc.aio
import pytest
from stockkeeper_client import InventoryClient, StockLine, error_details

from actors.outcomes import ImportRejected, Refused, RefusedLine
from rpc.rpc_server import RpcServer
from stockkeeper.stock_csv import read_counted_lines
from tests.rpc.fake_inventory import FakeInventory
from tests.system.servers import run_cli

pytestmark = pytest.mark.anyio

HEADER = "organization_id,variant_id,warehouse_id,total_quantity\n"


def rejected(count: int) -> Refused:
    reason = "total_quantity 3 is less than the 4 that are reserved, damaged or in transit"
    return Refused(ImportRejected(tuple(RefusedLine(number, reason) for number in range(2, 1_002)), count))


async def test_the_client_is_told_of_a_thousand_bad_lines(server: RpcServer, fake: FakeInventory) -> None:
    bad: list[StockLine] = [
        {"organization_id": "org_1", "variant_id": f"v{number}", "warehouse_id": "w1", "total_quantity": -1}
        for number in range(1_500)
    ]
    async with InventoryClient("127.0.0.1", server.addresses[0].port, timeout_s=30) as client:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await client.stock.import_stock(bad)
    details = error_details(raised.value)
    assert (len(details.line_errors), details.line_errors_total) == (1_000, 1_500)


async def test_the_program_prints_a_thousand_bad_lines_and_how_many_there_are(
    server: RpcServer, fake: FakeInventory, tmp_path: Path
) -> None:
    fake.outcome = rejected(1_234)
    file = tmp_path / "stock.csv"
    file.write_text(HEADER + "".join(f"org_1,v{number},w1,3\n" for number in range(1_234)))
    target = f"127.0.0.1:{server.addresses[0].port}"
    status, _, err = await run_cli("import", str(file), "--target", target)
    lines = err.splitlines()
    assert status == 1
    assert lines[0] == "line 2: total_quantity 3 is less than the 4 that are reserved, damaged or in transit"
    assert lines[999].startswith("line 1001: ")
    assert lines[1_000:] == ["… and 234 more", "Nothing was imported: 1234 bad lines."]


def test_the_files_own_check_counts_all_bad_lines() -> None:
    rows = [f"org_1,v{number},w1,-1\n" for number in range(1_500)]
    counted = read_counted_lines([HEADER, *rows, "org_1,x,w1,many\n", "org_1,y,w1,1\n"])
    assert (len(counted.errors), counted.errors_total) == (1_000, 1_501)
