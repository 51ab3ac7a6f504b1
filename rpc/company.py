"""Whether several organizations call at present: one that is alone may have all there is."""

from collections.abc import Callable
from time import monotonic

COMPANY_S = 1.0  # so long after two have called, none is alone


class Company:
    """Is told of every call.

    Args:
        monotonic_s: a clock, in seconds.
    """

    def __init__(self, monotonic_s: Callable[[], float] = monotonic) -> None:
        self._monotonic_s = monotonic_s
        self.latest = ""
        self._until_s = 0.0

    def __repr__(self) -> str:
        return f"<Company several={self.has_several}>"

    def statistics(self) -> bool:
        """As `has_several`."""
        return self.has_several

    @property
    def has_several(self) -> bool:
        return self._monotonic_s() < self._until_s

    def note(self, organization_id: str) -> None:
        """This organization calls."""
        if organization_id != self.latest:
            if self.latest and organization_id:
                self._until_s = self._monotonic_s() + COMPANY_S
            self.latest = organization_id or self.latest
