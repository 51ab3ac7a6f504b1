"""The part of the Store's contract that is about transfers."""

from typing import Any

import pytest
from msgspec.structs import replace

from actors.queries import ListTransfers
from actors.records import Transaction
from actors.transfer_records import TransferLine, TransferRecord
from storage.store import Store
from tests.storage.contract import StoreContract
from tests.storage.scribe import ORGANIZATION, START_MS, Scribe

SENT = TransferRecord(
    "t1", ORGANIZATION, "w1", "w2", "in_transit", (TransferLine("a", 5), TransferLine("b", 2)), START_MS
)


def entry(scribe: Scribe, transfer: TransferRecord) -> Transaction:
    kind: Any = {"in_transit": "ship_transfer", "received": "receive_transfer", "cancelled": "cancel_transfer"}
    return replace(scribe.remember(f"request-{scribe.lsn + 1}"), kind=kind[transfer.state], transfer=transfer)


@pytest.mark.anyio
class TransferContract(StoreContract):
    async def test_a_transfer_is_found_as_it_stands(self, store: Store, scribe: Scribe) -> None:
        assert await store.find_transfer(ORGANIZATION, "t1") is None
        await store.write([entry(scribe, SENT)])
        assert await store.find_transfer(ORGANIZATION, "t1") == SENT
        assert await store.find_transfer("another", "t1") is None
        lines = (TransferLine("a", 5, 3, 1, 1), TransferLine("b", 2, 0, 0, 2))
        over = replace(SENT, state="received", lines=lines, ended_at_ms=START_MS + 5)
        other = replace(SENT, transfer_id="t2")
        await store.write([entry(scribe, replace(SENT, lines=(lines[0], SENT.lines[1]))), entry(scribe, over)])
        await store.write(
            [entry(scribe, other), entry(scribe, replace(other, state="cancelled", ended_at_ms=START_MS))]
        )
        assert await store.find_transfer(ORGANIZATION, "t1") == over
        assert await store.find_transfer(ORGANIZATION, "t2") == replace(other, state="cancelled", ended_at_ms=START_MS)

    async def test_transfers_are_listed_by_time_state_and_warehouse(self, store: Store, scribe: Scribe) -> None:
        ends = (("w1", "w2"), ("w2", "w3"), ("w3", "w1"), ("w1", "w3"))
        every = [
            replace(
                SENT,
                transfer_id=f"t{number}",
                from_warehouse_id=sender,
                to_warehouse_id=destination,
                shipped_at_ms=START_MS + number // 2,
                lines=tuple(TransferLine(f"v{n}", 1) for n in range(number + 1)),
            )
            for number, (sender, destination) in enumerate(ends)
        ]
        every[2] = replace(every[2], state="cancelled", ended_at_ms=START_MS + 9)
        await store.write([entry(scribe, one) for one in every])
        await store.write([entry(scribe, replace(SENT, organization_id="another"))])
        first, second, third, fourth = every

        async def listed(**query: Any) -> tuple[list[TransferRecord], Any]:
            page = await store.list_transfers(ListTransfers(ORGANIZATION, **query))
            return list(page.transfers), page.next_mark

        assert await listed() == ([fourth, third, second, first], None)
        assert await listed(limit=3) == ([fourth, third, second], (START_MS, "t1"))
        assert await listed(limit=3, before=(START_MS, "t1")) == ([first], None)
        assert await listed(limit=1, before=(START_MS + 1, "t3")) == ([third], (START_MS + 1, "t2"))
        assert await listed(state="in_transit") == ([fourth, second, first], None)
        assert await listed(state="received") == ([], None)
        assert await listed(warehouse_id="w2") == ([second, first], None)
        assert await listed(warehouse_id="w1", state="cancelled") == ([third], None)
