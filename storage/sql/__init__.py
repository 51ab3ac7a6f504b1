"""The Store port on SQLite and Postgres. Nothing above `storage` knows that there is SQL."""
