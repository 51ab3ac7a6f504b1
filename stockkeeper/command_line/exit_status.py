"""How the program ends."""

EXIT_FAILURE = 1  # the service refused, what was named is not there, a file cannot be read, …
EXIT_USAGE = 2  # or configuration
EXIT_OWNERSHIP = 3
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141  # the reader of the output is gone
