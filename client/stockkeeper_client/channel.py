"""How a channel is set up: message sizes, gRPC's own retries, keepalive, and how soon it connects again.

Retries are gRPC's own, from a service config, and not a loop around the call: they keep the call's one
deadline, they tell a request that never left from one that did, and they work for a stream as well. What gRPC
does, and does not do:

- It retries UNAVAILABLE and nothing else. DEADLINE_EXCEEDED ends the whole call, so a retry is the caller's to make.
- It makes at most 5 attempts, the first included.
- It spreads each delay by 20 % either way.
- The trailer `grpc-retry-pushback-ms` sets the delay before the next attempt, a negative one forbids it.
  `google.rpc.RetryInfo` in the details of a status is not read: it is for the caller, see `stockkeeper_client.errors`.
- An attempt whose answer has begun is never repeated, nor is a request larger than the retry buffer.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import grpc.aio

from stockkeeper_client.v1 import inventory_pb2, stock_pb2

ChannelOption = tuple[str, str | int]

_ATTEMPTS_MAX = 5
# A delay of about a millisecond can be over before gRPC has noted that it waits, and then the call hangs until its
# deadline (grpc/grpc#41036): seen in half of such calls, and in none of 1,000 with 5 ms.
_BACKOFF_S_MIN = 0.01
_MESSAGE_BYTES_MAX = 50 * 1024 * 1024
# The details of a refusal travel as metadata, and a list of bad lines is longer than gRPC's own 8 KiB.
_METADATA_BYTES_MAX = 1024 * 1024
# gRPC's own 256 KiB do not hold a basket of 1,000 lines with ids of 128 characters.
_RETRY_BUFFER_BYTES = 1024 * 1024
# A connection that dies without a word is given up when what was sent on it, or a ping, was not acknowledged for the
# keepalive timeout, which gRPC hands to TCP_USER_TIMEOUT. Otherwise Linux sends again for 15 minutes: 938 s of
# DEADLINE_EXCEEDED were measured. A ping is sent during calls only; the service allows one every 10 s.
_KEEPALIVE_MS = 15_000
_KEEPALIVE_TIMEOUT_MS = 5_000
# gRPC waits a second before it connects again, and every attempt made meanwhile fails at once.
_RECONNECT_MS_MIN = 100
_RECONNECT_MS_MAX = 2_000

# Of several servers of one inventory, calls go to those that say that they serve. The others stand by.
_BY_HEALTH: dict[str, object] = {
    "loadBalancingConfig": [{"round_robin": {}}],
    "healthCheckConfig": {"serviceName": ""},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When a call that failed with UNAVAILABLE is sent again, within the call's deadline.

    `attempts_max`, 2 to 5, includes the first. The delay before the second attempt is `backoff_s`, at least 0.01, and
    grows by `backoff_factor` with each further one, up to `backoff_s_max`. The default gives a server 3 s to come back.

    >>> RetryPolicy(attempts_max=3, backoff_s=0.1)
    RetryPolicy(attempts_max=3, backoff_s=0.1, backoff_s_max=2.0, backoff_factor=2.0)
    """

    attempts_max: int = 5
    backoff_s: float = 0.2
    backoff_s_max: float = 2.0
    backoff_factor: float = 2.0

    def __post_init__(self) -> None:
        if not 2 <= self.attempts_max <= _ATTEMPTS_MAX:
            raise ValueError(f"attempts_max={self.attempts_max} has to be 2 to {_ATTEMPTS_MAX}, the most gRPC makes")
        if not (self.backoff_s >= _BACKOFF_S_MIN and self.backoff_s_max >= _BACKOFF_S_MIN and self.backoff_factor > 0):
            raise ValueError(f"delays have to be at least {_BACKOFF_S_MIN} s and the factor positive: {self}")


def open_channel(
    target: str,
    *,
    retry: RetryPolicy | None,
    credentials: grpc.ChannelCredentials | None,
    options: Sequence[ChannelOption],
) -> grpc.aio.Channel:
    """A channel to `target`, bound to the running event loop. It connects with the first call.

    Without `credentials` it is not encrypted. `options` are gRPC's channel arguments, and come before those made here.
    """
    merged = merged_options(target, retry, options)
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=merged)
    return grpc.aio.secure_channel(target, credentials, options=merged)


def merged_options(target: str, retry: RetryPolicy | None, options: Sequence[ChannelOption]) -> Sequence[ChannelOption]:
    """A channel's arguments: `options`, and those made here that they do not name."""
    made = channel_options(retry, has_several_addresses="," in target)
    if is_on_this_machine(target):
        made.append(("grpc.enable_http_proxy", 0))
    given = dict(options)
    return [*options, *(option for option in made if option[0] not in given)]


def is_on_this_machine(target: str) -> bool:
    """Whether `target`, a host and a port, is this machine, which no proxy on another one can reach."""
    host = target.rpartition(":")[0].strip("[]")
    try:
        address = ip_address(host)
    except ValueError:
        return host.rstrip(".").lower() == "localhost"
    return address.is_loopback or address.is_unspecified


def channel_options(retry: RetryPolicy | None, *, has_several_addresses: bool = False) -> list[ChannelOption]:
    config = {**({} if retry is None else service_config(retry)), **(_BY_HEALTH if has_several_addresses else {})}
    options: list[ChannelOption] = [
        ("grpc.max_send_message_length", _MESSAGE_BYTES_MAX),
        ("grpc.max_receive_message_length", _MESSAGE_BYTES_MAX),
        ("grpc.max_metadata_size", _METADATA_BYTES_MAX),
        ("grpc.initial_reconnect_backoff_ms", _RECONNECT_MS_MIN),
        ("grpc.max_reconnect_backoff_ms", _RECONNECT_MS_MAX),
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        ("grpc.enable_retries", int(retry is not None)),
    ]
    if retry is not None:
        options.append(("grpc.per_rpc_retry_buffer_size", _RETRY_BUFFER_BYTES))
    return [*options, ("grpc.service_config", json.dumps(config))] if config else options


def service_config(retry: RetryPolicy) -> dict[str, object]:
    services = [inventory_pb2.DESCRIPTOR.services_by_name["InventoryService"]]
    services.append(stock_pb2.DESCRIPTOR.services_by_name["StockService"])
    policy = {
        "maxAttempts": retry.attempts_max,
        "initialBackoff": f"{retry.backoff_s:.9f}s",
        "maxBackoff": f"{retry.backoff_s_max:.9f}s",
        "backoffMultiplier": retry.backoff_factor,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    retried = {"name": [{"service": service.full_name} for service in services], "retryPolicy": policy}
    # Seen once in hundreds of runs: gRPC replayed a stream without its last message, and it was taken for whole.
    streamed = {"name": [{"service": services[1].full_name, "method": "ImportStock"}]}
    return {"methodConfig": [retried, streamed]}
