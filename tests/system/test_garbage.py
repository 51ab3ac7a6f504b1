"""A cycle is found soon, if it was made lately, and else with the next walk through everything."""

import subprocess
import sys

PROGRAM = """
import asyncio, gc, weakref
from stockkeeper.serving import garbage_collection

class Node:
    pass

def cycle():
    node = Node()
    node.itself = node
    return weakref.ref(node)

def churn():
    return [[number] for number in range(3 * garbage_collection.YOUNG_OBJECTS_MAX)]

async def main():
    garbage_collection.FULL_COLLECTION_S = 0.01
    garbage_collection.schedule_full_collections()
    young = cycle()
    kept = churn()
    assert young() is None, "an early walk finds it"
    node = Node()
    node.itself, old = node, weakref.ref(node)
    more = churn()
    assert gc.get_freeze_count() > len(kept), "what was walked through is left alone"
    del node
    even_more = churn()
    assert old() is not None, "no early walk finds it"
    async with asyncio.timeout(30):
        while old() is not None:
            await asyncio.sleep(0.01)

garbage_collection.collect_seldom()
asyncio.run(main())
"""


def test_a_cycle_is_found_soon_or_with_the_next_full_collection() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
