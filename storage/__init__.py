"""What is durable: the Store port, what a batch of the journal writes through it, and its adapters."""
