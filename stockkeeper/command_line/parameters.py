"""The parameters that several commands have. Every number is read by `whole_number`."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter, Token
from msgspec import Struct

from actors.bounds import INT32_MAX
from stockkeeper.config import DEFAULT_PORT
from stockkeeper.whole_number import whole_number

DEFAULT_TARGET = f"localhost:{DEFAULT_PORT}"
LOG_LEVELS = ("debug", "info", "warning", "error")


class WholeNumbers(Struct, frozen=True):
    """Reads a whole number in digits, between these two."""

    minimum: int
    maximum: int

    def __call__(self, _: Any, tokens: Sequence[Token]) -> int:
        return whole_number(tokens[0].value, self.minimum, self.maximum)


class Seconds(Struct, frozen=True):
    """Reads seconds in digits, with a point or without, between these two."""

    minimum: float = 0.0
    maximum: float = 1e9

    def __call__(self, _: Any, tokens: Sequence[Token]) -> float:
        text = tokens[0].value
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
            raise ValueError(f"must be seconds in digits, such as 10 or 2.5, not {text!r}")
        if not self.minimum <= float(text) <= self.maximum:
            raise ValueError(f"must be from {self.minimum:g} to {self.maximum:g} seconds, not {text}")
        return float(text)


def whole(minimum: int, maximum: int = INT32_MAX) -> Parameter:
    """A whole number in digits."""
    return Parameter(converter=WholeNumbers(minimum, maximum))


SECONDS = Parameter(converter=Seconds())

ConfigFile = Annotated[str, Parameter(name="--config", help="A TOML file with settings.", env_var="STOCKKEEPER_CONFIG")]
Target = Annotated[
    str, Parameter(help="The server, as host:port; https://host:port with TLS.", env_var="STOCKKEEPER_TARGET")
]
RequestId = Annotated[
    str, Parameter(help="Names the request, so that repeating the command changes nothing twice; random by default.")
]
RowsMax = Annotated[int, whole(1), Parameter(help="How many rows at most.")]
Watch = Annotated[
    bool,
    Parameter(
        name="--watch", negative="", help="Show it again whenever something has changed, until it is interrupted."
    ),
]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON, one object a line.")]
