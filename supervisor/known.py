"""Which orders and requests the database may know: a filter that spares a new order its look-up.

A Bloom filter (Burton H. Bloom, 1970: "Space/time trade-offs in hash coding with allowable errors") says
"certainly not" or "perhaps". Its size is fixed, so memory does not grow with history; a "perhaps" that is wrong
costs one read. Until it has been filled from the database it says "perhaps" to everything.
"""

from functools import lru_cache
from hashlib import blake2b

BITS = 1 << 26  # 8 MiB: one wrong answer in 50,000 at 2 million keys, in 100 at 7 million
HALF = (1 << 64) - 1


class KnownKeys:
    """A set that forgets nothing and sometimes imagines something.

    Args:
        bits: size of the filter, a power of two.
    """

    def __init__(self, bits: int = BITS) -> None:
        assert bits & (bits - 1) == 0
        self._mask = bits - 1
        self._bits = bytearray(bits // 8)
        self.is_filled = False

    def add(self, key: tuple[str, str]) -> None:
        bits = self._bits
        for position in _positions(key, self._mask):
            bits[position >> 3] |= 1 << (position & 7)

    def may_contain(self, key: tuple[str, str]) -> bool:
        """False is certain; True is not."""
        if not self.is_filled:
            return True
        bits = self._bits
        for position in _positions(key, self._mask):  # noqa: SIM110 - `all` takes twice as long
            if not bits[position >> 3] & (1 << (position & 7)):
                return False
        return True


@lru_cache(maxsize=1024)  # a new order is looked for, and added a moment later
def _positions(key: tuple[str, str], mask: int) -> tuple[int, ...]:
    # Two halves of one digest stand in for many hash functions (Kirsch and Mitzenmacher, 2006).
    digest = int.from_bytes(blake2b("\0".join(key).encode(), digest_size=16).digest(), "little")
    first, second = digest & HALF, digest >> 64 | 1
    return (first & mask, first + second & mask, first + 2 * second & mask, first + 3 * second & mask)
