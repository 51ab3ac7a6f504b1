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

    async def test_a_page_of_transfers_ends_with_its_lines_and_leads_to_all(self, store: Store, scribe: Scribe) -> None:
        lines = {"t0": 3, "t1": 4, "t2": 1, "t3": 1, "t4": 2}
        every = [
            replace(
                SENT,
                transfer_id=transfer_id,
                from_warehouse_id=("w1", "w2")[number % 2],
                to_warehouse_id="w3",
                shipped_at_ms=START_MS + number // 2,
                lines=tuple(TransferLine(f"v{n}", 1) for n in range(count)),
            )
            for number, (transfer_id, count) in enumerate(lines.items())
        ]
        await store.write([entry(scribe, one) for one in every])

        async def page(**query: Any) -> tuple[str, Any]:
            found = await store.list_transfers(ListTransfers(ORGANIZATION, **query))
            assert all(one in every for one in found.transfers)  # each is whole
            return " ".join(one.transfer_id for one in found.transfers), found.next_mark

        assert await page(lines_max=3) == ("t4 t3", (START_MS + 1, "t3"))
        assert await page(lines_max=3, before=(START_MS + 1, "t3")) == ("t2", (START_MS + 1, "t2"))
        assert await page(lines_max=3, before=(START_MS + 1, "t2")) == ("t1", (START_MS, "t1"))  # one in any case
        assert await page(lines_max=3, before=(START_MS, "t1")) == ("t0", None)
        assert await page(lines_max=4, limit=2) == ("t4 t3", (START_MS + 1, "t3"))
        assert await page(lines_max=11) == ("t4 t3 t2 t1 t0", None)
        wishes: list[dict[str, Any]] = [{}, {"warehouse_id": "w3"}, {"state": "in_transit"}, {"warehouse_id": "w1"}]
        for wish in wishes:
            wanted, _ = await page(**wish)
            for lines_max in range(1, 12):
                found, mark = await page(**wish, lines_max=lines_max)
                while mark is not None:
                    more, mark = await page(**wish, lines_max=lines_max, before=mark)
                    found += f" {more}"
                assert found == wanted
