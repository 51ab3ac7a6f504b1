"""How much of something limited one organization may have: the dynamic threshold of shared buffers.

An organization may have `SHARE` times what is still free. One that is alone gets nearly all; several that want
all leave some free between them; and one that has little is never turned away, because there is always something free
(Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory packet switches", 1998).
"""

SHARE = 9  # alone, nine tenths


def may_have(more: int, has: int, used: int, limit: int, share: int = SHARE) -> bool:
    """Whether an organization may have `more` beside what it `has`, where all together have `used` of `limit`."""
    free = limit - used
    return more <= free and has < share * free
