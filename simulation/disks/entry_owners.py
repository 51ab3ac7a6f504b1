"""Whose history a transaction belongs to, written a second time: it has a row in the journal of each of them."""

from actors.records import Transaction


def owners_of(one: Transaction) -> set[str]:
    """The organizations; an empty one for what belongs to none."""
    changed = {change.after.organization_id for change in one.changes}
    renamed = {warehouse.organization_id for warehouse in one.warehouses}
    owner = {it.organization_id for it in (one.reservation, one.transfer, one.sourcing) if it is not None}
    if not (changed or renamed or owner) and one.request is not None and "\n" not in one.request.scope:
        return {one.request.scope}
    return changed | renamed | owner or {""}
