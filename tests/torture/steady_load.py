"""Reservations at a steady rate, from a process of its own: `python -m tests.torture.steady_load PORT RATE`.

They are of organization `attacker`, of two lines each, over four connections, until the process is ended.
"""

import asyncio
import sys
import time
from typing import Any

from stockkeeper_client.v1 import inventory_pb2 as pb

from tests.torture.attack import ATTACKER, BASKET, RESERVE
from tests.torture.attacks_by_grpc import channel_to

PAUSE_S = 0.01


async def reserve_steadily(port: int, rate: int) -> None:
    channels = [channel_to(port) for _ in range(4)]
    calls: list[Any] = [channel.unary_unary(RESERVE) for channel in channels]
    made, began_s = 0, time.monotonic()
    under_way = set()
    while True:
        while made < (time.monotonic() - began_s) * rate:
            items = [pb.ReservationItem(variant_id=BASKET[(made + n) % len(BASKET)], quantity=1) for n in (0, 7)]
            order = pb.ReserveStockRequest(organization_id=ATTACKER, order_id=f"steady-{made}", items=items)
            call = calls[made % 4](order.SerializeToString(), timeout=60)
            under_way.add(call)
            call.add_done_callback(under_way.discard)
            made += 1
        await asyncio.sleep(PAUSE_S)


if __name__ == "__main__":
    asyncio.run(reserve_steadily(*map(int, sys.argv[1:])))
