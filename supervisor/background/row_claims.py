"""The claims on one row in the order of their expiry, in blocks that each know their sum.

A hot row has 200,000 of them. One list would be walked through for every refusal (61 ms); with blocks it is the
blocks, and then one of them. A block is two arrays of numbers: tuples take five times as much, and lie between what
comes and goes, so that its memory cannot be given back.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import chain

BLOCK_CLAIMS_MAX = 1_000

Claim = tuple[int, int]
"""When a reservation gives back to a row what it has of it, and what: see `what_of`."""

QUANTITY_BITS = 32
QUANTITY = (1 << QUANTITY_BITS) - 1


def what_of(reservation_id: str) -> int:
    """What tells this reservation's claims from others': with `|` and a quantity it is a claim's second part."""
    return (hash(reservation_id) & QUANTITY) << QUANTITY_BITS


class RowClaims:
    """A sorted multiset of claims. No block is empty but the only one."""

    __slots__ = ("_sums", "_times", "_whats")

    def __init__(self) -> None:
        self._times, self._whats = [array("q")], [array("Q")]
        self._sums = [0]

    def __repr__(self) -> str:
        return f"<RowClaims blocks={len(self._sums)} sum={sum(self._sums)}>"

    def __len__(self) -> int:
        return sum([len(times) for times in self._times])

    def __iter__(self) -> Iterator[Claim]:
        return zip(chain.from_iterable(self._times), chain.from_iterable(self._whats), strict=True)

    @property
    def is_empty(self) -> bool:
        return not self._times[0]

    def add(self, claim: Claim) -> None:
        place = -1
        at_ms, what = claim
        times, whats = self._times[-1], self._whats[-1]
        if not times or times[-1] < at_ms:  # as most new ones: it expires last of all
            times.append(at_ms)
            whats.append(what)
        else:
            place = self._place(claim)
            times, whats = self._times[place], self._whats[place]
            within = _within(times, whats, claim)
            times.insert(within, at_ms)
            whats.insert(within, what)
        self._sums[place] += what & QUANTITY
        if len(times) > BLOCK_CLAIMS_MAX:
            self._split(place % len(self._times))

    def discard(self, claim: Claim) -> bool:
        """Returns whether it was there."""
        place = self._place(claim)
        times, whats = self._times[place], self._whats[place]
        within = _within(times, whats, claim)
        if within == len(times) or (times[within], whats[within]) != claim:
            return False
        del times[within], whats[within]
        self._sums[place] -= claim[1] & QUANTITY
        if not times and len(self._times) > 1:
            del self._times[place], self._whats[place], self._sums[place]
        return True

    def freed_at_ms(self, quantity: int) -> int | None:
        """When these will have given at least this much back; None: never."""
        freed = 0
        for times, whats, whole in zip(self._times, self._whats, self._sums, strict=True):
            if freed + whole < quantity:
                freed += whole
                continue
            for at_ms, what in zip(times, whats, strict=True):
                freed += what & QUANTITY
                if freed >= quantity:
                    return at_ms
        return None

    def _place(self, claim: Claim) -> int:
        """The block that has the claim, or is to have it."""
        last = len(self._times) - 1
        if not last or self._last(last - 1) < claim:  # as most new ones
            return last
        return bisect_left(range(last), claim, key=self._last)

    def _last(self, place: int) -> Claim:
        return self._times[place][-1], self._whats[place][-1]

    def _split(self, place: int) -> None:
        for blocks in (self._times, self._whats):
            block = blocks[place]
            half = len(block) // 2
            blocks.insert(place + 1, block[half:])
            blocks[place] = block[:half]
        self._sums[place : place + 1] = [
            sum([what & QUANTITY for what in whats]) for whats in self._whats[place : place + 2]
        ]


def _within(times: "array[int]", whats: "array[int]", claim: Claim) -> int:
    """Where in a block the claim is, or is to be."""
    at_ms, what = claim
    first = bisect_left(times, at_ms)
    return bisect_left(whats, what, first, bisect_right(times, at_ms, first))
