"""Which orders and requests the database may know: a filter that spares a new order its look-up.

A Bloom filter (Burton H. Bloom, 1970: "Space/time trade-offs in hash coding with allowable errors") says
"certainly not" or "perhaps". Its size is fixed, so memory does not grow with history; a "perhaps" that is wrong
costs one read. Until it has been filled from the database it says "perhaps" to everything.
"""

from hashlib import blake2b

BITS = 1 << 26  # 8 MiB: one wrong answer in 50,000 at 2 million keys, in 100 at 7 million
HASHES = 4


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
        for position in self._positions(key):
            self._bits[position >> 3] |= 1 << (position & 7)

    def may_contain(self, key: tuple[str, str]) -> bool:
        """False is certain; True is not."""
        if not self.is_filled:
            return True
        bits = self._bits
        return all(bits[position >> 3] & (1 << (position & 7)) for position in self._positions(key))

    def _positions(self, key: tuple[str, str]) -> list[int]:
        # Two halves of one digest stand in for many hash functions (Kirsch and Mitzenmacher, 2006).
        digest = blake2b("\0".join(key).encode(), digest_size=16).digest()
        first = int.from_bytes(digest[:8], "little")
        second = int.from_bytes(digest[8:], "little") | 1
        mask = self._mask
        return [(first + i * second) & mask for i in range(HASHES)]
