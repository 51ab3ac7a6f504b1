"""Lays out the pages of the site in a folder: `python docs/site/stage.py FOLDER [REPOSITORY]`.

The documents stay where readers of the repository look for them. Here they become pages, and their links are turned:
to a page if there is one of it, else to the file in the repository at the address REPOSITORY, else into plain text.
The reference is made of the program's own options and of the contract.
"""

import json
import re
import shutil
import sys
from collections.abc import Collection
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

from contract_page import contract_page

from stockkeeper.command_line.cli import app

ROOT = Path(__file__).resolve().parents[2]
HOME = "index.md"
GROUPS = {
    "Tutorial": ["tutorial-operator.md"],
    "How to": [
        "operations.md",
        "deploy.md",
        "client.md",
        "testkit.md",
        "events.md",
        "cells.md",
        "simulation.md",
        "contributing.md",
    ],
    "Reference": ["configuration.md", "reference/command-line.md", "reference/api.md", "changelog.md"],
    "Explanation": ["ARCHITECTURE.md", "performance.md", "benchmarks.md", "scale.md", "torture.md", "planted-bugs.md"],
}
ELSEWHERE = {
    "README.md": HOME,
    "client/README.md": "client.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
    "CHANGELOG.md": "changelog.md",
}
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
CODE = re.compile(r"(^```.*?^```$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)


def sources() -> dict[str, str]:
    """Each file of the repository that is on the site, and where it is there."""
    within = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*") if path.is_file()}
    docs = {name: name.removeprefix("docs/") for name in within if not name.startswith("docs/site/")}
    return docs | {name: page for name, page in ELSEWHERE.items() if (ROOT / name).exists()}


def page_of(name: str, places: dict[str, str], repository: str) -> str:
    """The text of a document with its links turned."""

    def turned(link: re.Match[str]) -> str:
        is_picture, text, target = link.groups()
        path, hash_, anchor = target.partition("#")
        if not path or re.match(r"\w+:", path):
            return link[0]
        file = normpath(PurePosixPath(name).parent / path)
        if not (ROOT / file).exists():
            raise SystemExit(f"{name} links to {target}, which is not there.")
        if file in places:
            return f"{is_picture}[{text}]({relpath(places[file], PurePosixPath(places[name]).parent)}{hash_}{anchor})"
        return f"[{text}]({repository}/{file})" if repository else text

    pieces = CODE.split((ROOT / name).read_text(encoding="utf-8"))
    return "".join(piece if place % 2 else LINK.sub(turned, piece) for place, piece in enumerate(pieces))


def navigation(pages: Collection[str]) -> str:
    """The groups of the site, in TOML. A page that no group names is a how-to."""
    grouped = [page for group in GROUPS.values() for page in group]
    if missing := [page for page in grouped if page not in pages]:
        raise SystemExit(f"The navigation names {', '.join(missing)}, which is not there.")
    others = sorted(page for page in pages if page not in (*grouped, HOME))
    groups = GROUPS | {"How to": [*GROUPS["How to"], *others]}
    lines = [f"  {{ {json.dumps(title)} = {json.dumps(group)} }}," for title, group in groups.items()]
    return "\n".join(["nav = [", f'  {{ "Overview" = "{HOME}" }},', *lines, "]"])


def command_line() -> str:
    """The reference of all commands, by the library that reads them."""
    text = app.generate_docs(output_format="markdown", max_heading_level=2)
    contents = re.compile(r"^## Table of Contents\n.*?(?=^\*\*Commands)", re.MULTILINE | re.DOTALL)
    return contents.sub("", text).replace("# stockkeeper\n", "# Command line\n", 1)


def main() -> None:
    folder, repository = Path(sys.argv[1]), "".join(sys.argv[2:3])
    shutil.rmtree(folder, ignore_errors=True)
    pages, places = folder / "pages", sources()
    made = {"reference/command-line.md": command_line(), "reference/api.md": contract_page()}
    made |= {page: page_of(name, places, repository) for name, page in places.items() if name.endswith(".md")}
    for page, text in made.items():
        (pages / page).parent.mkdir(parents=True, exist_ok=True)
        (pages / page).write_text(text, encoding="utf-8")
    for name, place in places.items():
        if place not in made:
            (pages / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, pages / place)
    config = (ROOT / "docs/site/zensical.toml").read_text(encoding="utf-8")
    (folder / "zensical.toml").write_text(config.replace("nav = []", navigation(made)), encoding="utf-8")


if __name__ == "__main__":
    main()
