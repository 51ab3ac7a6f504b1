"""Makes options of the bounds in `supervisor.limits` and `rpc.network_bounds`: each becomes a flag, a variable
STOCKKEEPER_…, a key of the configuration file and a line of its schema, with the bound's own default and limits.
"""

from dataclasses import field, make_dataclass
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

from cyclopts import Parameter
from msgspec import Meta, Struct
from msgspec.structs import fields

from rpc.network_bounds import NetworkBounds
from stockkeeper.command_line.parameters import Seconds, WholeNumbers
from supervisor.limits import Limits

# What another part of the same system calls them already.
VARIABLES = {"reservation_ttl_minutes": "RESERVATION_TTL_MINUTES"}


def options_of(struct: type[Struct]) -> type[Any]:
    """A dataclass with the bounds of a struct, as cyclopts takes one. Fields without limits are no options."""
    hints = get_type_hints(struct, include_extras=True)
    made = [
        (one.name, Annotated[kind, _parameter(one.name, kind, meta)], field(default=one.default))
        for one in fields(struct)
        for kind, *metas in [get_args(hints[one.name]) or (None,)]
        for meta in metas
        if isinstance(meta, Meta)
    ]
    options = make_dataclass(f"{struct.__name__}Options", made, frozen=True, kw_only=True)
    options.__module__ = __name__  # cyclopts takes what says `types` for a builtin
    return options


def _parameter(name: str, kind: type, meta: Meta) -> Parameter:
    assert meta.ge is not None
    assert meta.le is not None
    read = WholeNumbers(int(meta.ge), int(meta.le)) if kind is int else Seconds(meta.ge, meta.le)
    variable = VARIABLES.get(name, f"STOCKKEEPER_{name.upper()}")
    return Parameter(help=meta.description, converter=read, env_var=variable)


if TYPE_CHECKING:  # they have the same fields
    LimitsOptions = Limits
    NetworkOptions = NetworkBounds
else:
    LimitsOptions, NetworkOptions = options_of(Limits), options_of(NetworkBounds)
