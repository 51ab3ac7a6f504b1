"""What a store raises where the schema of its database is of another version than the program."""


class SchemaTooNew(Exception):
    """The database was written by a newer program than this one."""


class SchemaTooOld(Exception):
    """No server of this version has opened the database yet."""
