"""One owner: the lease on answers, and the heartbeat that notices a database that is gone or hangs."""
