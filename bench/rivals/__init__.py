"""The same ReserveStock as durable, built in the ways in which it is usually built, as well as we know how.

Each checks all lines, takes all or nothing, keeps the reservation and its items, and is idempotent on the order. None
keeps a ledger, chooses warehouses, expires, confirms or releases: that is to their advantage.
"""
