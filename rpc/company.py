"""Whether several organizations call at present, and from several sources: what is alone may have all there is.

A source is a key, or without keys an address (`rpc.call_source`). It may call for many organizations.
"""

from collections.abc import Callable
from time import monotonic

COMPANY_S = 1.0  # so long after two have called, neither is alone


class Company:
    """Is told of every call.

    Args:
        monotonic_s: a clock, in seconds.
    """

    def __init__(self, monotonic_s: Callable[[], float] = monotonic) -> None:
        self._monotonic_s = monotonic_s
        self.latest = ""
        self.latest_source = ""
        self._until_s = 0.0
        self._sources_until_s = 0.0

    def __repr__(self) -> str:
        return f"<Company several={self.has_several}>"

    def statistics(self) -> bool:
        """As `has_several`."""
        return self.has_several

    @property
    def has_several(self) -> bool:
        return self._monotonic_s() < self._until_s

    @property
    def has_several_sources(self) -> bool:
        return self._monotonic_s() < self._sources_until_s

    def note(self, organization_id: str, source: str = "") -> None:
        """This organization calls, from there. Either may be empty, and then says nothing."""
        if organization_id != self.latest:
            if self.latest and organization_id:
                self._until_s = self._monotonic_s() + COMPANY_S
            self.latest = organization_id or self.latest
        if source != self.latest_source:
            if self.latest_source and source:
                self._sources_until_s = self._monotonic_s() + COMPANY_S
            self.latest_source = source or self.latest_source
