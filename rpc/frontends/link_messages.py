"""What a front-end process and the owner of the database say to each other over a `rpc.frontends.link.Link`.

One envelope carries every command and query, another every answer: their tags say what is inside. A request has a
number, and the answer repeats it. Refusals and the like are values here: the front-end raises them again, with all
that they say. A front-end is of its owner's release. A router may be of another: see `rpc.frontends.link_greeting`.
"""

from msgspec import Struct

from actors.commands import Command, CountedLine
from actors.outcomes import Outcome
from actors.queries import AnyQuery
from actors.views import View

# ---- a front-end says -------------------------------------------------------------------------------------------


class Listening(Struct, frozen=True, tag=True, array_like=True):
    """Clients can connect."""


class Ask(Struct, frozen=True, tag=True, array_like=True):
    """A command or a query. The lines of an import have come before, in parts."""

    number: int
    request: Command | AnyQuery


class ImportPart(Struct, frozen=True, tag=True, array_like=True):
    """Some lines of an import, which is too long for one message: others would wait for it."""

    number: int
    lines: tuple[CountedLine, ...]


class DropImport(Struct, frozen=True, tag=True, array_like=True):
    """Forget those parts: the caller is gone."""

    number: int


class Ping(Struct, frozen=True, tag=True, array_like=True):
    """Are you there? A router asks, which has no other way to know that its owner was stopped."""


FromFrontend = Listening | Ask | ImportPart | DropImport | Ping

# ---- the owner says ---------------------------------------------------------------------------------------------


class Serving(Struct, frozen=True, tag=True, array_like=True):
    """Whether commands are taken now: its first word, and again at each change."""

    serving: bool


class Stop(Struct, frozen=True, tag=True, array_like=True):
    """The core has finished: tell the last callers, and end."""


class Given(Struct, frozen=True, tag=True, array_like=True):
    """A fact, a refusal or a view."""

    number: int
    value: Outcome | View


class NotNow(Struct, frozen=True, tag=True, array_like=True):
    """`Unavailable`, as a value."""

    number: int
    reason: str
    message: str
    retry_after_ms: int


class Crashed(Struct, frozen=True, tag=True, array_like=True):
    """A bug met the request. The owner has logged its cause."""

    number: int


class Pong(Struct, frozen=True, tag=True, array_like=True):
    """To each ping."""


Answer = Given | NotNow | Crashed
FromOwner = Serving | Stop | Answer | Pong
