"""The names of requests: a call that is sent again under the same one is done once."""

from uuid import uuid4


def new_request_id() -> str:
    """A fresh name for a request whose caller gave none."""
    return str(uuid4())
