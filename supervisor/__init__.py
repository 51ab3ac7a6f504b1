"""Routes commands to actors and brings each transaction to all-or-nothing; starts, watches and restarts what does the work."""
