"""The client whose calls block in a process that forks, as gunicorn's, uWSGI's and Celery's do, before a real server.

Each scenario is a program of its own: what gRPC does at a fork depends on all that it did before in the process.
"""

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

ROOT = Path(__file__).resolve().parents[2]
# What a scenario has: a client, `use` for one reservation, and `forked` for a child that does something.
PRELUDE = """
import os, sys, threading, time
import grpc
from stockkeeper_client import CircuitBreaker
from stockkeeper_client.sync import InventoryClient

port, organization, streaming = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "stream"
client = InventoryClient("127.0.0.1", port, streaming=streaming, timeout_s=30)


def stock_up():
    client.stock.receive_stock(organization, [{"variant_id": "mug", "warehouse_id": "madrid", "quantity": 1_000}])


def use(order_id):
    reserved = client.reserve_stock(organization, order_id, [{"variant_id": "mug", "quantity": 1}])
    client.confirm_reservation(organization, reserved.reservation_id, order_id)


def forked(work):
    child = os.fork()
    if not child:
        status = 1
        try:
            work()
            status = 0
        except BaseException as error:
            print(repr(error), flush=True)
        os._exit(status)
    return child


def joined(*children):
    for child in children:
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def reserved_pieces():
    return [row.reserved_quantity for row in client.stock.list_stock(organization)]
"""
UNUSED = """
children = [forked(stock_up)]
joined(*children)
joined(*[forked(lambda: use(f"child-{n}")) for n in range(4)])
use("parent")
assert reserved_pieces() == [5]
"""
USED = """
stock_up()
for number in range(5):
    use(f"before-{number}")
    children = [forked(lambda: [use(f"child-{number}-{child}-{n}") for n in range(2)]) for child in range(2)]
    use(f"after-{number}")
    joined(*children)
assert reserved_pieces() == [30], reserved_pieces()
"""
FORKED_AGAIN = """
stock_up()

def child():
    use("child")
    joined(forked(lambda: use("grandchild")))
    use("child again")

joined(forked(child))
assert reserved_pieces() == [3]
"""
UNDER_WAY = """
stock_up()
errors, made, over = [], [], threading.Event()

def work(name):
    while not over.is_set():
        try:
            use(f"{name}-{len(made)}")
            made.append(name)
        except Exception as error:
            errors.append(error)

threads = [threading.Thread(target=work, args=(name,)) for name in range(3)]
for thread in threads:
    thread.start()
for number in range(5):
    while len(made) < number * 3 and not errors:
        time.sleep(0.001)
    joined(forked(lambda: use(f"child-{number}")))
over.set()
for thread in threads:
    thread.join()
assert not errors, errors
assert reserved_pieces() == [len(made) + 5]
"""
STUBS = """
from stockkeeper_client.v1.inventory_pb2 import GetStockInfoRequest
stock_up()
stub, asked = client.stub, GetStockInfoRequest(organization_id=organization, variant_id="mug")

def look():
    assert stub.GetStockInfo(asked, timeout=20).stock_info[0].total_quantity == 1_000
    assert stub.GetStockInfo.future(asked, timeout=20).result().stock_info[0].total_quantity == 1_000

look()
joined(forked(look))
look()
"""
IMPORT = """
line = {"organization_id": organization, "variant_id": "mug", "warehouse_id": "madrid", "total_quantity": 7}
client.stock.import_stock([line])
joined(forked(lambda: client.stock.import_stock([{**line, "total_quantity": 8}])))
assert client.stock.import_stock([{**line, "total_quantity": 8}]).rows_unchanged == 1
"""
PROBE = """
breaker = CircuitBreaker(failure_threshold=1, open_s=0.001)
guarded = InventoryClient("127.0.0.1", port, breaker=breaker)
stock_up()
breaker.admit().failed()
while breaker.state != "half_open":
    time.sleep(0.001)
probe = breaker.admit()  # the parent's, under way

def child():
    guarded.get_stock_info(organization, "mug", timeout_s=20)
    assert breaker.state == "closed"

joined(forked(child))
probe.succeeded()
guarded.get_stock_info(organization, "mug", timeout_s=20)
"""
OTHERS_CHANNEL = """
stock_up()
others = grpc.insecure_channel(f"127.0.0.1:{port}")
grpc.channel_ready_future(others).result(20)

def child():
    try:
        use("child")
    except RuntimeError as error:
        assert "GRPC_ENABLE_FORK_SUPPORT" in str(error)
    else:
        raise AssertionError("gRPC works here")

joined(forked(child))
use("parent")
"""
OTHERS_CHANNEL_FOLLOWED = """
stock_up()
others = grpc.insecure_channel(f"127.0.0.1:{port}")
grpc.channel_ready_future(others).result(20)
use("before")
joined(forked(lambda: use("child")))
use("after")
"""


def run(scenario: str, port: int, name: str, way: str = "unary", **environment: str) -> None:
    program = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", PRELUDE + scenario, str(port), name, way],
        capture_output=True,
        text=True,
        timeout=90,
        cwd=ROOT,
        env={**os.environ, "GRPC_ENABLE_FORK_SUPPORT": "0", **environment},
    )
    assert program.returncode == 0, program.stdout + program.stderr


@pytest.mark.parametrize("way", ["unary", "stream"])
@pytest.mark.parametrize(
    "scenario", [UNUSED, USED, FORKED_AGAIN, UNDER_WAY], ids=["unused", "used", "forked again", "under way"]
)
def test_parent_and_children_work(program_port: int, scenario: str, way: str) -> None:
    run(scenario, program_port, f"shop-{uuid4()}", way)


def test_stubs_go_on_in_a_child(program_port: int) -> None:
    run(STUBS, program_port, "stubs")


def test_a_child_imports(program_port: int) -> None:
    run(IMPORT, program_port, "import")


def test_a_child_does_not_wait_for_its_parents_probe(program_port: int) -> None:
    run(PROBE, program_port, "probe")


def test_a_child_where_grpc_would_hang_is_told_so(program_port: int) -> None:
    run(OTHERS_CHANNEL, program_port, "others")


def test_others_channels_do_no_harm_with_grpcs_fork_support(program_port: int) -> None:
    run(OTHERS_CHANNEL_FOLLOWED, program_port, "followed", GRPC_ENABLE_FORK_SUPPORT="1")


def test_the_example_for_web_frameworks_runs_in_prefork_workers(program_port: int) -> None:
    text = (ROOT / "client/README.md").read_text()
    section = text.split("## Flask, Django, Celery")[1]
    example = section.split("```python")[1].split("```")[0]
    assert '"localhost", 50053' in example
    workers = """
assert reserve("order-1") == "STOCK_NOT_FOUND", reserve("order-1")
inventory.stock.receive_stock("shop", [{"variant_id": "mug", "warehouse_id": "madrid", "quantity": 9}])
joined(*[forked(lambda: print(reserve(f"order-{n}"))) for n in range(3)])
assert [row.reserved_quantity for row in inventory.stock.list_stock("shop")] == [3]
"""
    run(example.replace('"localhost", 50053', '"127.0.0.1", port') + workers, program_port, "unused")
