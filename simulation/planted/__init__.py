"""Planted bugs, and the hunt for them."""
