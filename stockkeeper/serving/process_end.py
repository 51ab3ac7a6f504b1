"""How a process that serves calls ends."""

import logging
import os
import sys
from typing import NoReturn


def end_process(status: int) -> NoReturn:
    """End here and now, with this exit status, and leave it to the kernel to close the connections.

    Callers whose call was not looked at get UNAVAILABLE then, which clients retry. gRPC's own shutdown would give them
    CANCELLED (`Server::KillPendingWorkLocked` in its core), which no client retries; and under load there is always
    such a caller. The caller of this function has closed everything else.

    Args:
        status: the exit status.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
