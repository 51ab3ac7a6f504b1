"""What outlives a simulated process: the disk in memory with its faults, real SQLite beside it, and power cuts."""
