"""Generates `client/stockkeeper_client/v1` from the contract; with `--check` it only compares.

The generated code is committed, so that neither an installation nor a reader needs a compiler. It demands a grpcio and
a protobuf no older than those it was generated with, and a caller of the service has to satisfy that. So the version of
grpcio-tools is pinned in pyproject.toml (extra `dev`) to the oldest that serves, and anything else is refused here: a
newer one would change every file and raise what the client requires.

protoc writes type stubs for messages but none for services; `service_stub` adds them, typed for grpc.aio, the only
gRPC that this repository uses.
"""

import argparse
import importlib.metadata
import re
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, MethodDescriptorProto
from grpc_tools import protoc

PROTO = Path(__file__).resolve().parent
ROOT = PROTO.parent
CLIENT = ROOT / "client"
# The proto package is what stands on the wire; the Python package is named as the distribution, for `inventory` is a
# name that a shop may have for a package of its own.
PROTO_PACKAGE, PYTHON_PACKAGE = "inventory", "stockkeeper_client"
GENERATED = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py", "*_pb2_grpc.pyi")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the committed code differs")
    check: bool = parser.parse_args().check
    require_pinned_tools()
    with tempfile.TemporaryDirectory() as scratch:
        fresh = generate(Path(scratch))
    committed = read_generated(CLIENT / PYTHON_PACKAGE)
    changed = sorted(path for path in fresh.keys() | committed.keys() if fresh.get(path) != committed.get(path))
    if check:
        if changed:
            sys.exit(f"{', '.join(changed)} in client/ differ from proto/: run `python proto/generate.py`.")
        return
    for path in changed:
        if path in fresh:
            (CLIENT / path).parent.mkdir(parents=True, exist_ok=True)
            (CLIENT / path).write_bytes(fresh[path])
        else:
            (CLIENT / path).unlink()
        sys.stdout.write(f"client/{path}\n")


def require_pinned_tools() -> None:
    """Exits with one sentence unless the installed grpcio-tools is the one that pyproject.toml pins."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pins = re.findall(r"^grpcio-tools==(\S+)$", "\n".join(project["optional-dependencies"]["dev"]), re.MULTILINE)
    if len(pins) != 1:
        sys.exit("pyproject.toml has to pin grpcio-tools to one version (grpcio-tools==…) in the extra `dev`.")
    pinned, installed = pins[0], importlib.metadata.version("grpcio-tools")
    if installed != pinned:
        sys.exit(f"grpcio-tools {installed} is installed, but pyproject.toml pins {pinned}: install that one.")


def generate(target: Path) -> dict[str, bytes]:
    """Runs protoc into `target`, and returns what it wrote by path relative to `target`."""
    sources = sorted(path.relative_to(PROTO).as_posix() for path in (PROTO / PROTO_PACKAGE).rglob("*.proto"))
    descriptors = target / "descriptors.binpb"
    status = protoc.main(
        [
            "protoc",
            f"--proto_path={PROTO}",
            f"--proto_path={PROTO / 'third_party'}",
            f"--proto_path={Path(protoc.__file__).parent / '_proto'}",  # google.protobuf
            f"--python_out={target}",
            f"--pyi_out={target}",
            f"--grpc_python_out={target}",
            f"--descriptor_set_out={descriptors}",
            *sources,
        ]
    )
    if status != 0:
        sys.exit("protoc refused the contract, see above.")
    for file in FileDescriptorSet.FromString(descriptors.read_bytes()).file:
        stub = target / file.name.replace(".proto", "_pb2_grpc.pyi")
        stub.write_text("\n".join(service_stub(file)) + "\n", newline="\n")
    return move_into_client(target)


def move_into_client(target: Path) -> dict[str, bytes]:
    """What protoc wrote, by its path in `client/`, and importing from there."""
    old, new = PROTO_PACKAGE, PYTHON_PACKAGE
    return {
        path.replace(f"{old}/", f"{new}/", 1): rehome(text.decode()).encode()
        for path, text in read_generated(target / old).items()
    }


def rehome(text: str) -> str:
    """Names the modules of `text` by where they are installed. Names on the wire stay, and so do .proto files'."""
    text = re.sub(rf"^from {PROTO_PACKAGE}\.", f"from {PYTHON_PACKAGE}.", text, flags=re.MULTILINE)
    text = re.sub(rf"'{PROTO_PACKAGE}(\.[\w.]+_pb2')", rf"'{PYTHON_PACKAGE}\1", text)
    return re.sub(rf"{PROTO_PACKAGE}(/\w+/\w+_pb2_grpc\.py)", rf"{PYTHON_PACKAGE}\1", text)


def read_generated(package: Path) -> dict[str, bytes]:
    return {
        path.relative_to(package.parent).as_posix(): path.read_bytes()
        for pattern in GENERATED
        for path in package.rglob(pattern)
    }


def service_stub(file: FileDescriptorProto) -> Iterator[str]:
    """The lines of the `.pyi` beside the `_pb2_grpc.py` of `file`."""
    yield "# Generated by proto/generate.py. DO NOT EDIT!"
    yield "from collections.abc import AsyncIterator"
    yield ""
    yield "import grpc.aio"
    yield f"from {file.package} import {messages_module(file)}"
    for service in file.service:
        yield ""
        yield f"class {service.name}Stub:"
        yield "    def __init__(self, channel: grpc.aio.Channel) -> None: ..."
        for method in service.method:
            yield f"    {method.name}: grpc.aio.{shape(method)}MultiCallable[{', '.join(types(file, method))}]"
        yield ""
        yield f"class {service.name}Servicer:"
        for method in service.method:
            yield from servicer_method(file, method)
        yield ""
        yield f"def add_{service.name}Servicer_to_server("
        yield f"    servicer: {service.name}Servicer, server: grpc.aio.Server"
        yield ") -> None: ..."


def servicer_method(file: FileDescriptorProto, method: MethodDescriptorProto) -> Iterator[str]:
    request, response = types(file, method)
    argument = f"request_iterator: AsyncIterator[{request}]" if method.client_streaming else f"request: {request}"
    # A method that streams its answers is an async generator, which is called without `await`.
    keyword, result = ("def", f"AsyncIterator[{response}]") if method.server_streaming else ("async def", response)
    yield f"    {keyword} {method.name}("
    yield f"        self, {argument}, context: grpc.aio.ServicerContext[{request}, {response}]"
    yield f"    ) -> {result}: ..."


def messages_module(file: FileDescriptorProto) -> str:
    return Path(file.name).stem + "_pb2"


def types(file: FileDescriptorProto, method: MethodDescriptorProto) -> tuple[str, str]:
    """The request's and the response's type, as the stub names them."""
    module = messages_module(file)
    local = {f".{file.package}.{message.name}": f"{module}.{message.name}" for message in file.message_type}
    # A KeyError means a message of another file: the stub would have to import that file too.
    return local[method.input_type], local[method.output_type]


def shape(method: MethodDescriptorProto) -> str:
    sides = (method.client_streaming, method.server_streaming)
    return "".join("Stream" if streaming else "Unary" for streaming in sides)


if __name__ == "__main__":
    main()
