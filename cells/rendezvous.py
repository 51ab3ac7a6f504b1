"""Rendezvous hashing: a key belongs to the name with which it has the highest weight.

The weight of a name and a key is a hash of both, and of nothing else. So every program that knows the names finds the
same one, with no table and no order that would have to agree; a name that is added takes its share of the keys from all
the others alike, and no key moves between those. (D. G. Thaler and C. V. Ravishankar, "Using Name-Based Mappings to
Increase Hit Rates", IEEE/ACM Transactions on Networking 6(1), 1998.)

Turned down: a ring of hashes (Karger 1997), which needs a hundred points a name to be as even, to spare a comparison
with each name, of which there are tens here; Python's `hash`, which differs from process to process.
"""

from collections.abc import Iterable
from hashlib import blake2b

NAME_BYTES_MAX = 64  # of blake2b's key
WEIGHT_BYTES = 8


def weight(name: str, key: str) -> bytes:
    """How much a name weighs for a key; compared as a number."""
    # The name is the hash's own key: no pair of a name and a key can be read as another pair.
    return blake2b(key.encode(), key=name.encode(), digest_size=WEIGHT_BYTES).digest()


def highest(names: Iterable[str], key: str) -> str:
    """The name that the key belongs to. Equal weights go by name.

    >>> highest(["a", "b", "c"], "shop"), highest(["c", "b", "a"], "shop")
    ('c', 'c')
    """
    return max(names, key=lambda name: (weight(name, key), name))
