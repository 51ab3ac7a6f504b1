"""What is remembered of large requests and transfers does not stay in memory, and is there all the same."""

import pytest

from actors.commands import DeliveryLine, Receive
from actors.outcomes import RequestIdReused, StockReceived
from actors.queries import GetTransfer
from actors.request_actor import KEPT_BYTES
from actors.transfer_outcomes import TransferCancelled, TransferShipped
from actors.views import TransferFound
from supervisor import incarnation
from supervisor.limits import Limits
from supervisor.supervisor import Supervisor
from tests.core.conftest import ORGANIZATION, World, bring
from tests.core.test_goods import figures, refusal_of
from tests.core.test_transfers import cancel, ship

pytestmark = pytest.mark.anyio

VARIANTS = [f"v{number:02}" + "x" * 100 for number in range(20)]
LIMITS = Limits(heartbeat_s=0.005, idle_timeout_s=60)


def delivery(request_id: str, *, quantity: int = 1, lines: int = 20) -> Receive:
    return Receive(ORGANIZATION, tuple(DeliveryLine(one, "w1", quantity) for one in VARIANTS[:lines]), request_id)


def bytes_kept(core: Supervisor) -> int:
    assert core._core is not None
    requests = core._core.requests._directory.activations()
    return sum(len(one._record.outcome) for one in requests if one._record is not None)


async def test_a_large_answer_is_not_kept_and_a_retry_has_it_all_the_same(world: World) -> None:
    async with world.core() as core:
        first = await core.ask(delivery("d-0"))
        assert isinstance(first, StockReceived)
        for number in range(1, 10):
            await core.ask(delivery(f"d-{number}"))
        assert bytes_kept(core) == 0
        for _ in range(2):  # what was read for a retry is let go as well
            assert await core.ask(delivery("d-0")) == first
            assert await refusal_of(core, delivery("d-0", quantity=2)) == RequestIdReused("d-0")
            assert bytes_kept(core) == 0
        assert await figures(core, VARIANTS[0]) == [(10, 0, 0, 0)]


async def test_a_small_answer_is_kept_and_not_read_again(world: World) -> None:
    async with world.core() as core:
        first = await core.ask(delivery("d-0", lines=1))
        kept = world.disk.requests.pop(next(iter(world.disk.requests)))
        assert 0 < bytes_kept(core) == len(kept.outcome) <= KEPT_BYTES
        assert await core.ask(delivery("d-0", lines=1)) == first
        world.disk.requests[kept.key] = kept


async def test_retries_that_come_before_a_large_answer_is_durable_have_it_too(world: World) -> None:
    async with world.core() as core:
        replies = [core.submit(delivery("d-0")) for _ in range(3)]
        first, *others = [await reply.wait() for reply in replies]
        assert isinstance(first, StockReceived)
        assert others == [first, first]
        assert await figures(core, VARIANTS[0]) == [(1, 0, 0, 0)]


async def test_large_transfers_that_are_not_in_use_go_and_come_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incarnation, "TRANSFER_LINES_MAX", 50)
    async with world.core(limits=LIMITS) as core:
        await bring(core, {(variant, warehouse): 100 for variant in VARIANTS for warehouse in ("w1", "w2")})
        for number in range(10):
            lines = [(one, 1) for one in VARIANTS]
            shipped = await core.ask(ship(*lines, request_id=f"s{number}", transfer_id=f"t{number}"))
            assert isinstance(shipped, TransferShipped)
            assert lines_of_transfers(core) <= 100
        for number in range(10):  # each is loaded again
            over = await core.ask(cancel(f"c{number}", f"t{number}"))
            assert isinstance(over, TransferCancelled)
            assert lines_of_transfers(core) <= 100
            found = await core.answer(GetTransfer(ORGANIZATION, f"t{number}")).wait()
            assert found == TransferFound(over.transfer)


def lines_of_transfers(core: Supervisor) -> int:
    assert core._core is not None
    transfers = core._core.transfers
    held = sum(len(one.transfer.lines) for one in transfers._directory.activations() if one.transfer is not None)
    assert transfers._lines == held
    return held
