"""Which cell an organization belongs to, and the router that finds it. No network, no database and no clock."""
