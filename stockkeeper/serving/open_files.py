"""How many files a process may open: each connection is one."""

import resource

OPEN_FILES_WANTED = 65_536


def raise_open_files_limit() -> int:
    """Raise the soft limit, which is often 1,024, as far as the hard one allows. Returns what it is then.

    Processes that are started later inherit it.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES_WANTED if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_WANTED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
