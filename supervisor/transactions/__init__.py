"""How a change happens: two-phase commit over rows, the journal, and what comes in without an order."""
