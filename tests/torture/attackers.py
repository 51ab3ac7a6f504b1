"""Hostile clients, in a process of their own: `python -m tests.torture.attackers NAMES PORT SECONDS`.

The attacks come one after another, and each says its name when it begins. An attack works until its time is over,
whatever the server does to it, and opens its connections anew when they are closed. It comes from 127.0.0.2 where it
speaks HTTP/2 by hand and from ::1 where gRPC's client does, and is of organization `attacker`.
"""

import asyncio
import sys
from contextlib import suppress

import tests.torture.attacks_by_frames
import tests.torture.attacks_by_grpc
import tests.torture.attacks_by_hand
import tests.torture.attacks_by_size  # noqa: F401 - they register themselves
from tests.torture.attack import ATTACKS


def main() -> None:
    names, port, seconds = sys.argv[1:]

    async def work() -> None:
        for name in names.split(","):
            sys.stdout.write(f"{name}\n")
            sys.stdout.flush()
            with suppress(TimeoutError):
                await asyncio.wait_for(ATTACKS[name](int(port)), float(seconds))

    asyncio.run(work())


if __name__ == "__main__":
    main()
