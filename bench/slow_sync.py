"""A disk that syncs 2 ms slower: a library that is preloaded into the programs that sync, compiled on demand."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

ADDED_MS = 2
SOURCE = Path(__file__).with_suffix(".c")


def is_possible() -> bool:
    """Whether there is a C compiler."""
    return shutil.which("cc") is not None


def environment(directory: Path) -> Mapping[str, str]:
    """The environment that makes the syncs of a program, and of its children, slow.

    Args:
        directory: gets the library; it becomes readable for every user, since Postgres has a user of its own.
    """
    library = directory / "slow_sync.so"
    command = ("cc", "-shared", "-fPIC", "-O1", f"-DADDED_MS={ADDED_MS}", str(SOURCE), "-o", str(library), "-ldl")
    subprocess.run(command, check=True)
    library.chmod(0o755)
    directory.chmod(0o755)
    return {"LD_PRELOAD": str(library)}
