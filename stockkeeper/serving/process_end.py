"""How a process that serves calls ends."""

import logging
import os
import sys
from typing import NoReturn


def end_process(status: int) -> NoReturn:
    """End here and now, with this exit status, and leave it to the kernel to close the connections.

    Callers that were not looked at hear UNAVAILABLE then, which clients retry. From gRPC's own shutdown they would hear
    CANCELLED (`Server::KillPendingWorkLocked` in its core ends what it took in so), which no client retries; and under
    load there is no moment without such a caller. All that has to be closed was closed before.

    Args:
        status: the exit status.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
