"""The link between front-end processes and the owner of the database."""
