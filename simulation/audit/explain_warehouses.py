"""What is said of warehouses, judged by the journal's entry or by the state."""

from typing import assert_never

from msgspec.structs import astuple

from actors.queries import GetSourcing, ListWarehouses
from actors.records import StockKey
from actors.sourcing import SourcingRecord
from actors.views import SourcingFound, WarehousePage
from actors.warehouse_commands import SetLevels, SetSourcing, UpsertWarehouse, WarehouseCommand
from actors.warehouse_outcomes import LevelsSet, SourcingSet, WarehouseUpserted
from simulation.audit.entries import warehouse_after
from simulation.audit.expected_levels import levels_set_at, refusal_of_levels
from simulation.audit.explain_goods import at_its_place
from simulation.audit.positions import Positions
from simulation.audit.replay import Replay
from simulation.audit.wrong import Wrong


def upserted_at(replay: Replay, request: UpsertWarehouse, answer: object, low: int, high: int) -> int:
    """The position of a change of a warehouse, which is its entry's.

    Raises:
        Wrong: the entry or the answer says something else than what was asked.
    """
    transaction = replay.transactions[high - 1]
    before = {
        (one.organization_id, one.warehouse_id): one for one in replay.warehouses.at(request.organization_id, high - 1)
    }
    known = before.get((request.organization_id, request.warehouse_id))
    after = warehouse_after(request, before)
    written = [astuple(one) for one in transaction.warehouses]
    is_same = known is not None and astuple(known) == after
    if written != ([] if is_same else [after]):
        raise Wrong("G4", f"got {answer!r}, but the journal has {transaction!r}", high)
    if not isinstance(answer, WarehouseUpserted) or (astuple(answer.warehouse), answer.is_new) != (
        after,
        known is None,
    ):
        raise Wrong("G4", f"got {answer!r} where {after!r} is right", high)
    return at_its_place(high, low)


def sourcing_set_at(replay: Replay, request: SetSourcing, answer: object, low: int, high: int) -> int:
    """The position of a change of the policy, which is its entry's.

    Raises:
        Wrong: the entry or the answer says something else than what was asked.
    """
    written = replay.transactions[high - 1].sourcing
    is_same = replay.warehouses.policy_at(request.organization_id, high - 1) == request.policy
    if written != (None if is_same else SourcingRecord(request.organization_id, request.policy)):
        raise Wrong("G4", f"got {answer!r}, but the journal has {written!r}", high)
    if answer != SourcingSet(request.policy):
        raise Wrong("G4", f"got {answer!r} where {request.policy} was asked for", high)
    return at_its_place(high, low)


class WarehouseExplainer(Positions):
    """Explains answers to commands about warehouses."""

    def explain_warehouses(self, request: WarehouseCommand, answer: object, low: int, high: int) -> int:
        """The position of an answer. Raises `Wrong`: it has none."""
        match request:
            case UpsertWarehouse():
                return upserted_at(self._replay, request, answer, low, high)
            case SetSourcing():
                return sourcing_set_at(self._replay, request, answer, low, high)
            case SetLevels():
                return self._explain_levels(request, answer, low, high)
            case _ as never:
                assert_never(never)

    def _explain_levels(self, request: SetLevels, answer: object, low: int, high: int) -> int:
        replay, organization = self._replay, request.organization_id
        if isinstance(answer, LevelsSet):
            return levels_set_at(replay, request, answer, high, low)
        variants = list(dict.fromkeys(line.variant_id for line in request.lines))

        def refuses(lsn: int) -> bool:
            expected = refusal_of_levels(
                request,
                lambda row: replay.row_at(StockKey(organization, *row), lsn),
                replay.free_at(organization, variants, lsn),
            )
            return answer is not None and answer == expected

        return self._smallest(self._row_lsns(organization, variants), refuses, low, high, "G5", answer)


def is_policy(replay: Replay, query: GetSourcing, answer: object, lsn: int) -> bool:
    """Whether that is the policy in this state."""
    return answer == SourcingFound(replay.warehouses.policy_at(query.organization_id, lsn))


def is_warehouse_page(replay: Replay, query: ListWarehouses, answer: object, lsn: int) -> bool:
    """Whether the list is so in this state."""
    found = [
        one
        for one in replay.warehouses.at(query.organization_id, lsn)
        if one.warehouse_id > query.after and (one.is_active or not query.active_only)
    ]
    more = found[query.limit - 1].warehouse_id if len(found) > query.limit else ""
    return answer == WarehousePage(tuple(found[: query.limit]), more)
