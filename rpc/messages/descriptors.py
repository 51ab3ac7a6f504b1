"""Where messages are described: the contract's in a descriptor pool of its own, all others in protobuf's."""

from typing import TypeAlias

import google.protobuf.message
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from stockkeeper_client.v1 import protobuf

# One class at run time. A type checker knows the contract's messages from stubs that do without types-protobuf.
Message: TypeAlias = google.protobuf.message.Message | protobuf.Message


def find_service(name: str) -> ServiceDescriptor:
    """The service of that full name. Its generated code has been imported.

    Raises:
        KeyError: there is none.
    """
    try:
        return protobuf.POOL.FindServiceByName(name)
    except KeyError:
        return descriptor_pool.Default().FindServiceByName(name)


def pool_of(services: list[str]) -> descriptor_pool.DescriptorPool:
    """A pool with the files of these services and all that they import, as reflection wants them: in one place."""
    pool = descriptor_pool.DescriptorPool()
    for name in services:
        _add(pool, find_service(name).file)
    return pool


def _add(pool: descriptor_pool.DescriptorPool, file: FileDescriptor) -> None:
    for dependency in file.dependencies:
        _add(pool, dependency)
    pool.AddSerializedFile(file.serialized_pb)
