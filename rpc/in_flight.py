"""How many of one kind of thing are under way, and the limit beyond which one more is turned away."""

from actors.outcomes import Unavailable

RETRY_AFTER_OVERLOAD_MS = 500


class Load:
    """Entered for as long as something is under way: `with load:`, or `enter` and `leave`.

    Args:
        at_once_max: how many may be under way; None: any number.
        things: what they are, in the plural, for the text of the refusal.
    """

    def __init__(self, at_once_max: int | None, things: str) -> None:
        self._at_once_max = at_once_max
        self._things = things
        self.under_way = 0
        self.turned_away = 0

    def __repr__(self) -> str:
        return f"<Load {self._things} {self.under_way}/{self._at_once_max}>"

    def enter(self) -> None:
        """Raises `Unavailable` at the limit."""
        if self._at_once_max is not None and self.under_way >= self._at_once_max:
            self.turned_away += 1
            raise Unavailable("OVERLOADED", f"Too many {self._things} are under way", RETRY_AFTER_OVERLOAD_MS)
        self.under_way += 1

    def leave(self) -> None:
        assert self.under_way > 0, self
        self.under_way -= 1

    def __enter__(self) -> None:
        self.enter()

    def __exit__(self, *error: object) -> None:
        self.leave()
