"""What a key or a token stands for."""

from msgspec import Struct

from rpc.authorization.scopes import Scope

ALL = "*"


class BadCredential(Exception):
    """Its text is for the log alone, and has nothing of what was given."""


class Caller(Struct, frozen=True):
    """What a key or a token stands for.

    Args:
        name: what the log and the ledger call it.
        organizations: whose stock it may see and change, or `ALL`.
        scopes: what it may do there.
    """

    name: str
    organizations: frozenset[str]
    scopes: frozenset[Scope]

    def may_see(self, organization_id: str) -> bool:
        """Whether this organization is one of its own; the empty id stands for what belongs to none."""
        return ALL in self.organizations or (organization_id != "" and organization_id in self.organizations)
