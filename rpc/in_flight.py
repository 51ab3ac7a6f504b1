"""How many of one kind of thing are under way, and the limit beyond which one more is turned away."""

from typing import NamedTuple

from actors.unavailable import too_many


class InFlightStatistics(NamedTuple):
    under_way: int
    turned_away: int


class InFlightLimit:
    """Entered when something begins, and left when it ends.

    Args:
        under_way_max: how many may be under way; None: any number.
        things: what they are, in the plural, for the text of the refusal.
    """

    def __init__(self, under_way_max: int | None, things: str) -> None:
        self._under_way_max = under_way_max
        self._things = things
        self.under_way = 0
        self.turned_away = 0

    def __repr__(self) -> str:
        return f"<InFlightLimit {self._things} {self.under_way}/{self._under_way_max}>"

    def statistics(self) -> InFlightStatistics:
        return InFlightStatistics(self.under_way, self.turned_away)

    def enter(self) -> None:
        """Raises `Unavailable` at the limit."""
        if self._under_way_max is not None and self.under_way >= self._under_way_max:
            self.turned_away += 1
            raise too_many(self._things)
        self.under_way += 1

    def leave(self) -> None:
        assert self.under_way > 0, self
        self.under_way -= 1
