"""The JSON Schema of the configuration file, and the tables of docs/configuration.md, made of the options themselves.

`python -m stockkeeper.command_line.settings_schema docs` writes both anew.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from cyclopts.argument import Argument

from stockkeeper.command_line.parameters import Seconds, WholeNumbers
from stockkeeper.command_line.settings_file import PROGRAMS, options_of_file

Schema = dict[str, Any]

FILE_NAME, PAGE_NAME = "configuration.schema.json", "configuration.md"
ABOUT = {
    "serve": "The server; check, backup and doctor take the database's settings from here.",
    "route": "Hands calls to the cells of a map.",
    "relay": "Passes on what happens to other services.",
    "consume": "Does what the events of other services say.",
}


def settings_schema() -> Schema:
    """The schema of a whole file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The configuration of stockkeeper",
        "type": "object",
        "additionalProperties": False,
        "properties": {program: _table(program) for program in PROGRAMS},
    }


def _options(program: str) -> dict[str, Argument]:
    from stockkeeper.command_line.cli import app

    return dict(options_of_file(app[program].assemble_argument_collection(parse_docstring=True)))


def _table(program: str) -> Schema:
    properties = {key: _property(argument) for key, argument in _options(program).items()}
    return {
        "description": ABOUT[program],
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def _property(argument: Argument) -> Schema:
    schema = {"description": _help(argument), **_kind(argument)}
    default = argument.field_info.default
    return schema if default is None else {**schema, "default": default}


def _kind(argument: Argument) -> Schema:
    match argument.parameter.converter:
        case WholeNumbers(minimum=minimum, maximum=maximum):
            return {"type": "integer", "minimum": minimum, "maximum": maximum}
        case Seconds(minimum=minimum, maximum=maximum):
            return {"type": "number", "minimum": minimum, "maximum": maximum}
    hints = [argument.hint, *get_args(argument.hint)]
    for hint in hints:
        if get_origin(hint) is Literal:
            return {"enum": list(get_args(hint))}
    return {"type": "boolean" if bool in hints else "string"}


def _help(argument: Argument) -> str:
    return " ".join((argument.parameter.help or "").split())


def reference() -> str:
    """The tables of all settings, in Markdown."""
    return "\n".join(f"## [{program}]\n\n{ABOUT[program]}\n\n{_rows(program)}\n" for program in PROGRAMS)


def _rows(program: str) -> str:
    lines = ["| key | flag | variable | default | limits | |", "|---|---|---|---|---|---|"]
    for key, argument in _options(program).items():
        kind, flag = _kind(argument), argument.name
        limits = f"{kind['minimum']:,} to {kind['maximum']:,}" if "minimum" in kind else ", ".join(kind.get("enum", ()))
        variables = ", ".join(f"`{name}`" for name in argument.parameter.env_var or ())
        cells = (f"`{key}`", f"`{flag}`", variables, shown(argument.field_info.default), limits, _help(argument))
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    return "\n".join(lines)


def shown(value: Any) -> str:
    """A value as a person reads it, and as TOML has it where that is not empty."""
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def with_reference(page: str) -> str:
    """The page with the tables as they are now."""
    mark = "<!-- made by python -m stockkeeper.command_line.settings_schema docs -->"
    head, _, _ = page.partition(mark)
    return f"{head}{mark}\n\n{re.sub(chr(10) + '{3,}', chr(10) * 2, reference())}"


def schema_text() -> str:
    return json.dumps(settings_schema(), indent=2) + "\n"


def write(folder: Path) -> None:
    """Write both files."""
    (folder / FILE_NAME).write_text(schema_text(), encoding="utf-8", newline="\n")
    page = folder / PAGE_NAME
    page.write_text(with_reference(page.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
