"""What is durable: the Store port, the Journal that writes through it, and its adapters."""
