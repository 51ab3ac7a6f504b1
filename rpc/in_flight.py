"""How many of one kind of thing are under way, and the limit beyond which one more is turned away."""

from typing import NamedTuple

from actors.unavailable import too_many
from rpc.shares import SHARE, may_have


class InFlightStatistics(NamedTuple):
    under_way: int
    turned_away: int


class InFlightLimit:
    """Entered when something begins, and left when it ends.

    No organization and no caller may take all of it, see `rpc.shares`. What belongs to none has no bound but the limit.

    Args:
        under_way_max: how many may be under way; None: any number.
        things: what they are, in the plural, for the text of the refusal.
        share: how many times what is free one organization, or one caller, may have.
        of_caller_max: how many one caller may have, whatever is free; 0: as `share` says.
    """

    def __init__(self, under_way_max: int | None, things: str, share: int = SHARE, of_caller_max: int = 0) -> None:
        self._under_way_max = under_way_max
        self._things = things
        self._share = share
        self._of_caller_max = of_caller_max
        self._by_organization: dict[str, int] = {}
        self._by_caller: dict[str, int] = {}
        self.under_way = 0
        self.turned_away = 0

    def __repr__(self) -> str:
        return f"<InFlightLimit {self._things} {self.under_way}/{self._under_way_max}>"

    def statistics(self) -> InFlightStatistics:
        return InFlightStatistics(self.under_way, self.turned_away)

    @property
    def is_full(self) -> bool:
        return self._under_way_max is not None and self.under_way >= self._under_way_max

    def of(self, organization_id: str) -> int:
        """How many of this organization are under way; none is counted where there is no limit."""
        return self._by_organization.get(organization_id, 0)

    def of_caller(self, caller: str) -> int:
        """How many of this caller are under way; none is counted where there is no limit."""
        return self._by_caller.get(caller, 0)

    def check(self) -> None:
        """Raises `Unavailable` at the limit."""
        if self._under_way_max is not None and self.under_way >= self._under_way_max:
            self._turn_away()

    def has_room(self, caller: str) -> bool:
        """Whether one more of this caller may enter."""
        under_way_max = self._under_way_max
        if under_way_max is None:
            return True
        has = self._by_caller.get(caller, 0)
        if self._of_caller_max:
            return has < self._of_caller_max and self.under_way < under_way_max
        return may_have(1, has, self.under_way, under_way_max, self._share)

    def enter(self, organization_id: str = "", caller: str = "") -> int:
        """Returns how many of the organization are under way now; 0 where they are not counted.

        Args:
            caller: see `rpc.call_source.source_of`; empty where callers are not counted.

        Raises:
            Unavailable: the limit is reached, or the organization or the caller has more than its share.
        """
        has = 0
        under_way_max = self._under_way_max
        if under_way_max is None or not (organization_id or caller):
            self.check()
        else:
            has = self._by_organization.get(organization_id, 0) if organization_id else 0
            of_caller = self._by_caller.get(caller, 0) if caller else 0
            most = self._share * (under_way_max - self.under_way)  # as `may_have`, for both at once
            if has >= most or of_caller >= (self._of_caller_max or most) or most <= 0:
                self._turn_away()
            if caller:
                self._by_caller[caller] = of_caller + 1
            if organization_id:
                has = self._by_organization[organization_id] = has + 1
        self.under_way += 1
        return has

    def leave(self, organization_id: str = "", caller: str = "") -> None:
        """It ended. `organization_id` and `caller` are what it entered with."""
        assert self.under_way > 0, self
        self.under_way -= 1
        if organization_id and self._under_way_max is not None:
            _take_one(self._by_organization, organization_id)
        if caller and self._under_way_max is not None:
            _take_one(self._by_caller, caller)

    def _turn_away(self) -> None:
        self.turned_away += 1
        raise too_many(self._things)


def _take_one(counts: dict[str, int], name: str) -> None:
    left = counts[name] - 1
    if left:
        counts[name] = left
    else:
        del counts[name]
