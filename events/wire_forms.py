"""An event as the bytes of a message, in either form."""

import msgspec

from events.envelope import CONTENT_TYPES, EventsFormat, OutEvent, Outgoing, erp

_json = msgspec.json.Encoder()


def outgoing(event: OutEvent, form: EventsFormat) -> Outgoing:
    """The event as a message. Raises `ModuleNotFoundError` where the extra `events` is needed and not installed."""
    return Outgoing(event.event_id, event.name, event.organization_id, CONTENT_TYPES[form], body_of(event, form))


def body_of(event: OutEvent, form: EventsFormat) -> bytes:
    """What it says. Raises likewise."""
    if form == "erp":
        return _json.encode(erp(event))
    from events.cloud_format import cloud_body  # its library is an extra

    return cloud_body(event)
