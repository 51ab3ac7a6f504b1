"""The `stockkeeper` program: what people type, and what they read."""
