"""How soon a thread gets Python's lock from one that works on.

SQLite's thread gives the lock away for every statement, and takes it back afterwards. Python has it wait for 5 ms if
the event loop works on, and a batch of a single reservation has ten statements. So beside eight callers whose baskets
cannot be packed another's p99 was 74 ms, and is 34 now. Where the loop waits for the batch, nothing changes.
"""

import sys

SWITCH_INTERVAL_S = 0.001  # with 0.2 ms the two hand the lock over too often to gain anything


def share_soon() -> None:
    """Have threads wait for the lock for a shorter time."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
