"""ReserveStock built in the usual ways, as durable as the service and as well as we can.

Each checks all lines, takes all or nothing, keeps the reservation and its items, and is idempotent on the order. None
keeps a ledger, chooses warehouses, expires, confirms or releases, which saves them work.
"""
