"""The claims on one row in the order of their expiry, in blocks that each know their sum.

A hot row has 200,000 of them. One list would be walked through for every refusal (61 ms); with blocks it is the
blocks, and then one of them.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from itertools import chain

BLOCK_CLAIMS_MAX = 1_000

Claim = tuple[int, str, int]
"""What a reservation will give back to a row when it expires: that time, its id, the quantity."""


class RowClaims:
    """A sorted multiset of claims. No block is empty but the only one."""

    __slots__ = ("_blocks", "_sums")

    def __init__(self) -> None:
        self._blocks: list[list[Claim]] = [[]]
        self._sums = [0]

    def __repr__(self) -> str:
        return f"<RowClaims blocks={len(self._blocks)} sum={sum(self._sums)}>"

    def __len__(self) -> int:
        return sum([len(block) for block in self._blocks])

    def __iter__(self) -> Iterator[Claim]:
        return chain.from_iterable(self._blocks)

    @property
    def is_empty(self) -> bool:
        return not self._blocks[0]

    def add(self, claim: Claim) -> None:
        place = -1
        block = self._blocks[-1]
        if not block or block[-1] < claim:  # as most new ones: it expires last of all
            block.append(claim)
        else:
            place = self._place(claim)
            block = self._blocks[place]
            insort(block, claim)
        self._sums[place] += claim[2]
        if len(block) > BLOCK_CLAIMS_MAX:
            self._split(place % len(self._blocks))

    def discard(self, claim: Claim) -> bool:
        """Returns whether it was there."""
        place = self._place(claim)
        block = self._blocks[place]
        within = bisect_left(block, claim)
        if within == len(block) or block[within] != claim:
            return False
        del block[within]
        self._sums[place] -= claim[2]
        if not block and len(self._blocks) > 1:
            del self._blocks[place], self._sums[place]
        return True

    def freed_at_ms(self, quantity: int) -> int | None:
        """When these will have given at least this much back; None: never."""
        freed = 0
        for block, whole in zip(self._blocks, self._sums, strict=True):
            if freed + whole < quantity:
                freed += whole
                continue
            for expires_at_ms, _, released in block:
                freed += released
                if freed >= quantity:
                    return expires_at_ms
        return None

    def _place(self, claim: Claim) -> int:
        """The block that has the claim, or is to have it."""
        last = len(self._blocks) - 1
        if not last or self._blocks[last - 1][-1] < claim:  # as most new ones
            return last
        return bisect_left(self._blocks, claim, hi=last, key=_last)

    def _split(self, place: int) -> None:
        block = self._blocks[place]
        second = block[len(block) // 2 :]
        del block[len(block) // 2 :]
        self._blocks.insert(place + 1, second)
        self._sums[place] = sum([claim[2] for claim in block])
        self._sums.insert(place + 1, sum([claim[2] for claim in second]))


def _last(block: list[Claim]) -> Claim:
    return block[-1]
