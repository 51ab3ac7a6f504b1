"""The garbage collector of a process that serves."""

import gc


def collect_seldom() -> None:
    """Have the garbage collector look less often, and never at what is there from the start.

    A call makes a few hundred objects, next to none of them in cycles. With Python's own threshold of 700 the collector
    took 4 % of the CPU time under load, and a large import met a dozen passes over all that is in memory.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
