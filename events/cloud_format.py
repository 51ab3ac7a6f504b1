"""Events as CloudEvents 1.0, structured, by the `cloudevents` library: it has the event, and refuses what is none."""

from datetime import UTC, datetime
from typing import Any

import msgspec
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from events.envelope import OutEvent, moment

EXTENSIONS = ("correlationid",)  # behind the data, as it has been published

_json = msgspec.json.Encoder()


class CompactJson(JSONFormat):
    """The library's JSON format, with times to the millisecond as everywhere else here.

    The library's own `write` takes 12 µs for an event, which is half of what a relay has for it; this takes one.
    """

    def write(self, event: BaseCloudEvent) -> bytes:
        """The event in JSON. Its data is an object."""
        return _json.encode(structured(event))


_format = CompactJson()


def cloud_body(event: OutEvent) -> bytes:
    """What stands on the wire."""
    return _format.write(cloud_event(event))


def cloud_event(event: OutEvent) -> CloudEvent:
    """An attribute's name has letters and digits only, so the organization is in the data."""
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.event_id,
        "type": event.name,
        "source": f"/inventory/{event.organization_id}",
        "subject": event.subject,
        "time": datetime.fromtimestamp(event.at_ms / 1_000, UTC),
        "sequence": str(event.sequence),
        "datacontenttype": "application/json",
    }
    if event.correlation_id:
        attributes["correlationid"] = event.correlation_id
    return CloudEvent(attributes, {"organization_id": event.organization_id, **event.data})


def structured(event: BaseCloudEvent) -> dict[str, Any]:
    """All of it as one object."""
    found = dict(event.get_attributes())
    found["time"] = moment(round(found["time"].timestamp() * 1_000))
    extension = {name: found.pop(name) for name in EXTENSIONS if name in found}
    return {**found, "data": event.get_data(), **extension}


def cloudevent(event: OutEvent) -> dict[str, Any]:
    """As it stands on the wire, before it is encoded."""
    return structured(cloud_event(event))
