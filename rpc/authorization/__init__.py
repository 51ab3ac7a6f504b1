"""Which caller it is, and what it may do."""
