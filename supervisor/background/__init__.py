"""What runs by itself: expiry, housekeeping, and hints about what expiry will free."""
