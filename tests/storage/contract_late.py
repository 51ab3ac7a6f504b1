"""What every adapter of the Store port must do with transactions that come while a batch is being written."""

from collections.abc import Sequence

import pytest

from actors.records import Transaction
from storage.store import Store
from tests.storage.contract import REFUSED, Make, StoreContract, contents, rows
from tests.storage.scribe import Scribe


class LateContract(StoreContract):
    async def test_those_that_come_late_are_written_with_the_batch(
        self, make: Make, store: Store, scribe: Scribe
    ) -> None:
        batch = [scribe.receive(), scribe.reserve()]
        late = [scribe.confirm(batch[1].reservation), scribe.receive("other")]
        asked: list[int] = []

        def latecomers() -> Sequence[Transaction]:
            asked.append(len(late))
            return late

        assert [one.lsn for one in await store.write(batch, latecomers)] == [1, 2, 3, 4]
        assert asked == [2]
        [reservation] = (await contents(store))["reservations"]
        assert (reservation.state, len(await rows(store))) == ("confirmed", 2)
        await store.write([scribe.receive("third")], lambda: [])
        await store.close()
        again = make()
        assert (await again.open()).last_lsn == 5
        await again.close()

    async def test_a_batch_whose_latecomers_do_not_fit_is_not_written_either(
        self, store: Store, scribe: Scribe
    ) -> None:
        await store.write([scribe.receive()])
        before = await contents(store)
        reserved, passed_over = scribe.reserve(), scribe.receive("passed over")
        with pytest.raises(REFUSED):
            await store.write([reserved], lambda: [scribe.receive("gap")])
        assert await contents(store) == before
        assert len(await store.write([reserved], lambda: [passed_over])) == 2
