"""Which cell an organization belongs to: the map. Pure: no network, no database and no clock."""
