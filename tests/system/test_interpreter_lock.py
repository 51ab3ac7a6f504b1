"""A server's threads get Python's lock sooner than Python gives it by itself."""

import sys

from stockkeeper.serving.interpreter_lock import SWITCH_INTERVAL_S, share_soon


def test_a_thread_waits_for_a_millisecond() -> None:
    before_s = sys.getswitchinterval()
    try:
        share_soon()
        assert sys.getswitchinterval() == SWITCH_INTERVAL_S < before_s
    finally:
        sys.setswitchinterval(before_s)
