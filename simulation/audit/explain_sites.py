"""Answers to questions about places: warehouses, levels, transfers, and where a basket would be taken from."""

from collections.abc import Sequence
from functools import partial
from typing import assert_never

from actors.queries import ExplainBasket, FindStock, GetSourcing, GetTransfer, ListTransfers, ListWarehouses
from simulation.audit.expected_explanation import is_explained
from simulation.audit.expected_levels import is_found_page
from simulation.audit.explain_transfers import TransferExplainer
from simulation.audit.explain_warehouses import WarehouseExplainer, is_policy, is_warehouse_page
from simulation.audit.history import Operation
from simulation.audit.positions import Explains

SiteQuery = ExplainBasket | FindStock | GetSourcing | GetTransfer | ListTransfers | ListWarehouses


class SiteExplainer(WarehouseExplainer, TransferExplainer):
    """Explains answers about places."""

    def explain_site_query(self, operation: Operation, query: SiteQuery) -> tuple[list[Sequence[int]], Explains]:
        """Where the answer may change, and whether a state explains it."""
        replay, organization, answer = self._replay, query.organization_id, operation.answer
        match query:
            case ExplainBasket(lines=lines):
                variants = list(dict.fromkeys(line.variant_id for line in lines))
                return self._row_lsns(organization, variants), partial(is_explained, replay, query, operation)
            case FindStock():
                changes = replay.stock_lsns.get(organization, [])
                return [changes], partial(is_found_page, replay, query, answer, operation)
            case GetTransfer() | ListTransfers():
                return self.explain_transfer_query(query, answer)
            case ListWarehouses():
                changes = replay.warehouses.lsns.get(organization, [])
                return [changes], partial(is_warehouse_page, replay, query, answer)
            case GetSourcing():
                return [replay.warehouses.lsns.get(organization, [])], partial(is_policy, replay, query, answer)
            case _ as never:
                assert_never(never)
