"""A world of its own for the real service: one integer fixes the schedule, the clock, the workload and the faults."""
