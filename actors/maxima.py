"""The largest of a row of numbers, and the last that is large enough: a segment tree, so that both cost log n.

A warehouse of a low priority that alone has enough would otherwise be looked for past ten thousand others, once for
each line of a basket.
"""

from collections.abc import Sequence

LEAST = -(1 << 62)


class Maxima:
    """Numbers in a fixed order.

    Args:
        values: what they are first.
    """

    def __init__(self, values: Sequence[int]) -> None:
        self._size = size = 1 << len(values).bit_length()  # one more than there are at least, for `last`
        self._tree = tree = [LEAST] * size + [*values] + [LEAST] * (size - len(values))
        for node in range(size - 1, 0, -1):
            tree[node] = max(tree[2 * node], tree[2 * node + 1])

    def __repr__(self) -> str:
        return f"<Maxima largest={self.largest}>"

    @property
    def largest(self) -> int:
        return self._tree[1]

    def __getitem__(self, place: int) -> int:
        return self._tree[self._size + place]

    def __setitem__(self, place: int, value: int) -> None:
        tree, node = self._tree, self._size + place
        tree[node] = value
        while node := node // 2:
            tree[node] = max(tree[2 * node], tree[2 * node + 1])

    def last(self, before: int, least: int) -> int | None:
        """The last place before this one whose number is at least `least`."""
        tree, node = self._tree, self._size + before
        while not (node % 2 and tree[node - 1] >= least):  # what is left of it ends before it
            node //= 2
            if not node:
                return None
        node -= 1
        while node < self._size:
            node = 2 * node + (tree[2 * node + 1] >= least)
        return node - self._size
