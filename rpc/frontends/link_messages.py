"""What a front-end process and the owner of the database say to each other over a `rpc.frontends.link.Link`.

Requests carry a number, and the answer repeats it. Refusals and the like are values here: the front-end raises
them again, with all that they say. Both sides are of one version, since the owner starts the front-ends.
"""

from msgspec import Struct

from actors.commands import Confirm, CountedLine, Fulfill, Line, Receive, Release, Reserve
from actors.outcomes import Fact, Refusal
from actors.records import ReservationState, StockKey
from actors.views import BasketCheck, ReservationPage, StockPage, StockView

# ---- a front-end says -------------------------------------------------------------------------------------------


class Listening(Struct, frozen=True, tag=True, array_like=True):
    """Clients can connect."""


class _Request(Struct, frozen=True, array_like=True):
    number: int


class AskReserve(_Request, frozen=True, tag=True):
    command: Reserve


class AskConfirm(_Request, frozen=True, tag=True):
    command: Confirm


class AskRelease(_Request, frozen=True, tag=True):
    command: Release


class AskFulfill(_Request, frozen=True, tag=True):
    command: Fulfill


class AskReceive(_Request, frozen=True, tag=True):
    command: Receive


class ImportPart(_Request, frozen=True, tag=True):
    """Some lines of an import, which is too long for one message: others would wait for it."""

    lines: tuple[CountedLine, ...]


class AskImport(_Request, frozen=True, tag=True):
    """Carry out the import whose parts came under this number."""

    request_id: str


class DropImport(_Request, frozen=True, tag=True):
    """Forget those parts: the caller is gone."""


class AskCheck(_Request, frozen=True, tag=True):
    organization_id: str
    lines: tuple[Line, ...]


class AskStockInfo(_Request, frozen=True, tag=True):
    organization_id: str
    variant_id: str
    warehouse_id: str


class AskStockPage(_Request, frozen=True, tag=True):
    organization_id: str
    variant_id: str
    warehouse_id: str
    after: StockKey | None
    limit: int


class AskReservationPage(_Request, frozen=True, tag=True):
    organization_id: str
    state: ReservationState | None
    order_id: str
    before: str
    limit: int


CommandRequest = AskReserve | AskConfirm | AskRelease | AskFulfill | AskReceive
Query = AskCheck | AskStockInfo | AskStockPage | AskReservationPage
FromFrontend = Listening | CommandRequest | ImportPart | AskImport | DropImport | Query

# ---- the owner says ---------------------------------------------------------------------------------------------


class Serving(Struct, frozen=True, tag=True, array_like=True):
    """Whether commands are taken now: its first word, and again at each change."""

    serving: bool


class Stop(Struct, frozen=True, tag=True, array_like=True):
    """The core has finished: tell the last callers, and end."""


class _Answer(Struct, frozen=True, array_like=True):
    number: int


class FactGiven(_Answer, frozen=True, tag=True):
    value: Fact


class BasketChecked(_Answer, frozen=True, tag=True):
    value: BasketCheck


class StockShown(_Answer, frozen=True, tag=True):
    value: tuple[StockView, ...]


class StockListed(_Answer, frozen=True, tag=True):
    value: StockPage


class ReservationsListed(_Answer, frozen=True, tag=True):
    value: ReservationPage


class RefusalGiven(_Answer, frozen=True, tag=True):
    refusal: Refusal


class NotNow(_Answer, frozen=True, tag=True):
    """`Unavailable`, as a value."""

    reason: str
    message: str
    retry_after_ms: int


class Crashed(_Answer, frozen=True, tag=True):
    """A bug met the request. The owner has logged its cause."""


Success = FactGiven | BasketChecked | StockShown | StockListed | ReservationsListed
Answer = Success | RefusalGiven | NotNow | Crashed
FromOwner = Serving | Stop | Answer
