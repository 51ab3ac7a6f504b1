"""`stockkeeper config`: what a program would be told, and by what."""

import json as json_format
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from cyclopts import App, Parameter
from cyclopts.argument import Argument, ArgumentCollection
from cyclopts.utils import UNSET

from stockkeeper.command_line.output import Column
from stockkeeper.command_line.parameters import Json
from stockkeeper.command_line.plain_table import show_table
from stockkeeper.command_line.settings_file import PROGRAMS, SettingsFile, options_of_file
from stockkeeper.command_line.settings_schema import shown
from stockkeeper.config import ConfigurationError

SOURCES = {"cli": "flag", "env": "environment"}
COLUMNS = (Column("setting"), Column("value"), Column("source"))
URLS = ("database_url", "events_to", "consume", "to", "from")


class Setting(NamedTuple):
    """A setting as it is in force, and what says so: a flag, a variable, a file, or nothing."""

    name: str
    value: Any
    source: str


class _Listener:
    """A source of cyclopts that gives nothing, and keeps what the others gave."""

    def __init__(self) -> None:
        self.arguments: Sequence[Argument] = ()

    def __repr__(self) -> str:
        return f"<_Listener {len(self.arguments)}>"

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        self.arguments = arguments


def config(*words: Annotated[str, Parameter(allow_leading_hyphen=True)], json: Json = False) -> int:
    """Print what `serve` would be told, and where each setting comes from. No password is shown.

    Parameters
    ----------
    words
        serve, route, relay or consume, and its options, such as --config stockkeeper.toml.
    """
    settings = settings_of(words)
    if json:
        lines = [json_format.dumps(setting._asdict()) for setting in settings]
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        return 0
    show_table(COLUMNS, [(setting.name, shown(setting.value), setting.source) for setting in settings])
    return 0


def settings_of(words: Sequence[str]) -> list[Setting]:
    """The settings of a program when it is called so."""
    from stockkeeper.command_line.cli import build_app

    is_named = bool(words) and not words[0].startswith("-")
    named, options = (words[0], words[1:]) if is_named else ("serve", words)
    if named not in PROGRAMS:
        raise ConfigurationError(f"There are settings of {', '.join(PROGRAMS)}, and none of {named}.")
    listener = _Listener()
    app = build_app(SettingsFile(), listener)
    app.parse_args([named, *options], exit_on_error=False, print_error=False)
    return [_setting(key, argument) for key, argument in options_of_file(listener.arguments).items()]


def _setting(key: str, argument: Argument) -> Setting:
    source = "default"
    if argument.tokens:
        token = argument.tokens[0]
        source = SOURCES.get(token.source, f"file {token.source}")
        source = f"{source} {token.keyword}" if source == "environment" else source
    value = argument.field_info.default if argument.value is UNSET else argument.value
    return Setting(key, _masked(key, value), source)


def _masked(key: str, value: Any) -> Any:
    if key not in URLS or not value:
        return value
    if key != "database_url":
        return re.sub("://.*@", "://***@", value)  # a token may be all that there is before the @
    from storage.sql.database_url import show_url

    try:
        return show_url(value)
    except ValueError:
        return "***"
