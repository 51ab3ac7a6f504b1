"""One servicer for each service of the contract, and health."""
