"""The reference page of the API: each service, call, message and value of the contract with its comment."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
)
from google.rpc import status_pb2
from grpc_tools import protoc

PROTO = Path(__file__).resolve().parents[2] / "proto"
# Where a descriptor has its parts: the numbers of its fields, which paths to comments are made of.
MESSAGES, ENUMS, SERVICES = 4, 5, 6
FIELDS, NESTED, NESTED_ENUMS = 2, 3, 4
FILES = ("inventory", "stream", "stock", "events", "operations")

Place = tuple[int, ...]


class Comments:
    """What the comments of a file say, by the place of what they are on."""

    def __init__(self, file: FileDescriptorProto) -> None:
        self._texts = {
            tuple(one.path): one.leading_comments.strip() or one.trailing_comments.strip()
            for one in file.source_code_info.location
        }

    def __repr__(self) -> str:
        return f"<Comments {len(self._texts)}>"

    def at(self, *place: int) -> str:
        """The comment as a paragraph."""
        return " ".join(line.strip() for line in self._texts.get(place, "").splitlines())


def contract_page() -> str:
    """The whole page, in Markdown."""
    lines = [
        "# API",
        "",
        "Made of the comments in `proto/inventory/v1`; a call's name is `/inventory.v1.SERVICE/CALL`.",
        "",
    ]
    for file in descriptors():
        lines += file_lines(file, Comments(file))
    return "\n".join(lines) + "\n"


def descriptors() -> Sequence[FileDescriptorProto]:
    """The contract's files with their comments, in the order of FILES."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch, "set")
        named = [f"inventory/v1/{name}.proto" for name in FILES]
        theirs = Path(status_pb2.__file__).parents[2], Path(protoc.__file__).with_name("_proto")
        places = [f"-I{place}" for place in (PROTO, *theirs)]
        command = ["protoc", *places, "--include_source_info", f"--descriptor_set_out={out}", *named]
        if protoc.main(command):
            raise SystemExit("The contract cannot be read.")
        found = {one.name: one for one in FileDescriptorSet.FromString(out.read_bytes()).file}
        return [found[name] for name in named]


def file_lines(file: FileDescriptorProto, comments: Comments) -> Iterator[str]:
    for at, service in enumerate(file.service):
        yield from (f"## {service.name}", "", comments.at(SERVICES, at), "")
        yield from ("| call | request | response | |", "|---|---|---|---|")
        for number, method in enumerate(service.method):
            yield method_row(method, comments.at(SERVICES, at, FIELDS, number))
        yield ""
    yield from (f"### Messages of {Path(file.name).name}", "")
    for at, message in enumerate(file.message_type):
        yield from message_lines(message, (MESSAGES, at), comments)
    for at, enum in enumerate(file.enum_type):
        yield from enum_lines(enum, (ENUMS, at), comments)


def method_row(method: MethodDescriptorProto, comment: str) -> str:
    asked = f"{'stream of ' if method.client_streaming else ''}{linked(method.input_type)}"
    given = f"{'stream of ' if method.server_streaming else ''}{linked(method.output_type)}"
    return f"| `{method.name}` | {asked} | {given} | {cell(comment)} |"


def message_lines(message: DescriptorProto, place: Place, comments: Comments) -> Iterator[str]:
    yield from (f"#### {message.name}", "", comments.at(*place), "")
    if message.field:
        yield from ("| field | type | |", "|---|---|---|")
    for at, field in enumerate(message.field):
        yield f"| `{field.name}` | {type_of(field)} | {cell(comments.at(*place, FIELDS, at))} |"
    yield ""
    for at, nested in enumerate(message.nested_type):
        if not nested.options.map_entry:
            yield from message_lines(nested, (*place, NESTED, at), comments)
    for at, enum in enumerate(message.enum_type):
        yield from enum_lines(enum, (*place, NESTED_ENUMS, at), comments)


def enum_lines(enum: EnumDescriptorProto, place: Place, comments: Comments) -> Iterator[str]:
    yield from (f"#### {enum.name}", "", comments.at(*place), "", "| value | number | |", "|---|---|---|")
    for at, value in enumerate(enum.value):
        yield f"| `{value.name}` | {value.number} | {cell(comments.at(*place, FIELDS, at))} |"
    yield ""


def type_of(field: FieldDescriptorProto) -> str:
    kind = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    name = linked(field.type_name) if field.type_name else kind
    optional = "optional " if field.proto3_optional else ""
    return f"list of {name}" if field.label == FieldDescriptorProto.LABEL_REPEATED else f"{optional}{name}"


def linked(type_name: str) -> str:
    """A type of the contract as a link to its heading; one of protobuf's as its name."""
    name = type_name.rpartition(".")[2]
    return name if type_name.startswith(".google.") else f"[{name}](#{name.lower()})"


def cell(text: str) -> str:
    return text.replace("|", "\\|")
