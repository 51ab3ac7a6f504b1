"""The TOML file that `--config` or STOCKKEEPER_CONFIG names: a table for each program, a key for each of its options.

    [serve]
    port = 50053
    database_url = "postgresql://app@db.example/stock"

Flags and environment variables go first. The commands that look at the server's database take what they
know of `serve`.
A key that is none is an error, or a typing error would leave a bound where it was. No message repeats a value: it may
be a password.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from cyclopts import App
from cyclopts.argument import Argument, ArgumentCollection

from stockkeeper.config import ConfigurationError

PROGRAMS = ("serve", "route", "relay", "consume")
OPTION = "--config"


class SettingsFile:
    """A source of cyclopts: it gives arguments that have no value yet the file's."""

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        path = _named(arguments)
        if not path:
            return
        tables = read_settings(path)
        program = commands[0] if commands[0] in PROGRAMS else "serve"
        table = tables.get(program, {})
        known = options_of_file(arguments)
        if program == commands[0]:
            _refuse_unknown(table, known, f"{path}: [{program}]")
        mine = {name: value for name, value in table.items() if _key(name) in known}
        for name, value in mine.items():
            if not isinstance(value, (str, int, float)):
                raise ConfigurationError(f"{path}: [{program}] {name} must be one value.")
        from cyclopts.config import Dict

        Dict(mine, source=path, use_commands_as_keys=False)(app, commands, arguments)


def read_settings(path: str) -> Mapping[str, Mapping[str, Any]]:
    """The tables of a file.

    Raises:
        ConfigurationError: it cannot be read, or has something that no program reads.
    """
    import tomllib

    try:
        tables = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"The configuration {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The configuration {path} is no TOML: {_place_of(error)}.") from None
    _refuse_unknown(tables, PROGRAMS, path, "table")
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise ConfigurationError(f"{path}: {name} must be a table, [{name}].")
    return tables


def options_of_file(arguments: Iterable[Argument]) -> Mapping[str, Argument]:
    """The options that a file may set, by their keys there."""
    return {
        _key(argument.name): argument
        for argument in arguments
        if argument.name.startswith("--") and argument.name != OPTION and not argument.children
    }


def _key(name: str) -> str:
    return name.removeprefix("--").replace("-", "_")


def _named(arguments: ArgumentCollection) -> str:
    tokens = [token for argument in arguments if argument.name == OPTION for token in argument.tokens]
    return tokens[0].value if tokens else ""


def _refuse_unknown(table: Mapping[str, Any], known: Any, where: str, what: str = "key") -> None:
    for name in table:
        if _key(name) not in known:
            near = get_close_matches(_key(name), list(known), 1)
            meant = f"; did you mean {near[0]}?" if near else "."
            raise ConfigurationError(f"{where} has the unknown {what} {name}{meant}")


def _place_of(error: ValueError) -> str:
    """What the parser said, without what it may quote."""
    text = str(error)
    return text[text.rfind("(at ") :].strip("()") if "(at " in text else "it is not UTF-8"
