"""Real SQLite on a simulated disk, with power cuts."""
