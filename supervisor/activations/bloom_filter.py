"""Which orders and requests the database may know: a filter that spares a new order its look-up.

A Bloom filter (Burton H. Bloom, 1970: "Space/time trade-offs in hash coding with allowable errors") says
"certainly not" or "perhaps". Its size is fixed, so memory does not grow with history; a "perhaps" that is wrong
costs one read. Until it has been filled from the database it says "perhaps" to everything.

Its bits are pages of the operating system, which are zero and take no memory before they are written: a `bytearray`
writes all of them at once, which held the event loop for 7 ms a start, and for 50 on a busy machine.
"""

import mmap
from collections.abc import Callable

from msgspec import Struct

BITS = 1 << 26  # 8 MiB: one wrong answer in 50,000 at 2 million keys, in 100 at 7 million
# Of this process alone, where a system can share them with its children.
OWN_PAGES = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}


class BloomFilterStatistics(Struct, frozen=True):
    """Its size, and how much of it is used: at a half, one answer in 16 is wrong."""

    bits: int
    bits_set: int


class BloomFilter:
    """A set that forgets nothing, and may take a key that was never added for one that was.

    Args:
        bits: size of the filter, a power of two up to 2^32.
        hash_key: 64 bits of a key. Python's own differ from process to process, as the filter does.
    """

    def __init__(self, bits: int = BITS, hash_key: Callable[[tuple[str, str]], int] = hash) -> None:
        assert bits & (bits - 1) == 0
        self._mask = bits - 1
        self._bits = mmap.mmap(-1, bits // 8, **OWN_PAGES)
        self._hash_key = hash_key
        self.is_filled = False

    def __repr__(self) -> str:
        return f"<BloomFilter bits={self._mask + 1} filled={self.is_filled}>"

    def statistics(self) -> BloomFilterStatistics:
        """Reads all of it, which takes milliseconds."""
        return BloomFilterStatistics(self._mask + 1, int.from_bytes(self._bits).bit_count())

    # Two halves of one hash stand in for four hash functions (Kirsch and Mitzenmacher, 2006). Each new order asks and
    # adds, and a loop over the positions takes twice as long as they do in a row.

    def add(self, key: tuple[str, str]) -> None:
        bits, mask, position = self._bits, self._mask, self._hash_key(key)
        step = position >> 32 | 1
        bits[(position & mask) >> 3] |= 1 << (position & 7)
        position += step
        bits[(position & mask) >> 3] |= 1 << (position & 7)
        position += step
        bits[(position & mask) >> 3] |= 1 << (position & 7)
        position += step
        bits[(position & mask) >> 3] |= 1 << (position & 7)

    def may_contain(self, key: tuple[str, str]) -> bool:
        """False is certain; True is not."""
        if not self.is_filled:
            return True
        bits, mask, position = self._bits, self._mask, self._hash_key(key)
        if not bits[(position & mask) >> 3] >> (position & 7) & 1:
            return False
        step = position >> 32 | 1
        for _ in range(3):
            position += step
            if not bits[(position & mask) >> 3] >> (position & 7) & 1:
                return False
        return True
