"""Streams of JetStream that are there, or made."""

import nats.js.errors
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from yarl import URL


def name_of(url: str) -> str:
    """As messages name it, without a password, or what stands in a password's place."""
    bare = URL(url).with_password(None).with_query(None)
    return str(bare if URL(url).password is not None else bare.with_user(None))


async def find_or_make(stream: JetStreamContext, wanted: StreamConfig, *, declare: bool) -> None:
    """See that there is such a stream, however it is configured."""
    assert wanted.name is not None
    try:
        await stream.stream_info(wanted.name)
    except nats.js.errors.NotFoundError:
        if not declare:
            raise
        await stream.add_stream(wanted)
