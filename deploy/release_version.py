"""Prints the version of this clone, if all that name one agree: `python deploy/release_version.py [TAG]`.

With a tag, such as v0.2.0, it must be that version, and CHANGELOG.md must have a section of it.
"""

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PLACES = {
    "deploy/kubernetes/kustomization.yaml": r"newTag: (.+)",
    "deploy/compose.yaml": r"image: stockkeeper:(.+)",
    "pyproject.toml": r'"stockkeeper-client==(.+)"',
}


def named_versions(tag: str) -> Iterator[tuple[str, str]]:
    """Each place that names the version, and what it says."""
    for file in ("pyproject.toml", "client/pyproject.toml"):
        yield file, tomllib.loads((ROOT / file).read_text())["project"]["version"]
    for file, pattern in PLACES.items():
        for said in re.findall(pattern, (ROOT / file).read_text()) or ["nothing"]:
            yield f"{file} ({pattern})", said
    if tag:
        yield "the tag", tag.removeprefix("v")


def wrong(tag: str) -> Iterator[str]:
    """A sentence for each thing that does not agree."""
    (_, version), *others = named_versions(tag)
    yield from (f"{place} says {said}, not {version}." for place, said in others if said != version)
    wanted = version if tag else "Unreleased"
    sections = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    if wanted not in sections:
        yield f"CHANGELOG.md has no section [{wanted}]."


def main() -> None:
    """Print the version, or say what does not agree and exit with 1."""
    tag = "".join(sys.argv[1:2])
    if sentences := list(wrong(tag)):
        sys.exit("\n".join(sentences))
    sys.stdout.write(next(said for _, said in named_versions(tag)) + "\n")


if __name__ == "__main__":
    main()
