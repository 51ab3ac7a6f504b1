"""Each option and each environment variable of the program, by a table: what it is read as, and what goes first."""

import inspect
from dataclasses import is_dataclass
from typing import Any

import pytest
from cyclopts import CoercionError
from msgspec import Struct
from msgspec.structs import asdict

from rpc.transport.server_options import MESSAGE_BYTES_MAX
from stockkeeper.command_line.cli import COMMANDS, app
from tests.system.other_values import OTHERS
from tests.system.route_options import ROUTE_OPTIONS

# The command with what it needs, an option, its variable if it has one, what is given, and what the command gets.
OPTIONS = [
    ("serve", "--host", "GRPC_HOST", "0.0.0.0", "0.0.0.0"),
    ("serve", "--port", "GRPC_PORT", "0", 0),
    ("serve", "--database-url", "DATABASE_URL", "sqlite:///a.db", "sqlite:///a.db"),
    ("serve", "--standby", "", None, True),
    ("serve", "--frontends", "GRPC_FRONTENDS", "64", 64),
    ("serve", "--transport", "STOCKKEEPER_TRANSPORT", "grpc-aio", "grpc-aio"),
    ("serve", "--message-bytes-max", "MESSAGE_BYTES_MAX", "2048", 2_048),
    ("serve", "--tls-cert", "GRPC_TLS_CERT", "c.pem", "c.pem"),
    ("serve", "--tls-key", "GRPC_TLS_KEY", "k.pem", "k.pem"),
    ("serve", "--tls-client-ca", "GRPC_TLS_CLIENT_CA", "a.pem", "a.pem"),
    ("serve", "--insecure-network", "", None, True),
    ("serve", "--no-reflection", "", None, True),
    ("serve", "--keys-file", "GRPC_KEYS_FILE", "keys.toml", "keys.toml"),
    ("serve", "--token-jwks", "GRPC_TOKEN_JWKS", "jwks.json", "jwks.json"),
    ("serve", "--token-issuer", "GRPC_TOKEN_ISSUER", "a", "a"),
    ("serve", "--token-audience", "GRPC_TOKEN_AUDIENCE", "a", "a"),
    ("serve", "--token-leeway-s", "GRPC_TOKEN_LEEWAY_S", "7", 7),
    ("serve", "--token-algorithms", "GRPC_TOKEN_ALGORITHMS", "ES384", "ES384"),
    ("serve", "--token-organizations-claim", "GRPC_TOKEN_ORGANIZATIONS_CLAIM", "a", "a"),
    ("serve", "--token-scopes-claim", "GRPC_TOKEN_SCOPES_CLAIM", "scp", "scp"),
    ("serve", "--grace-s", "", "2.5", 2.5),
    ("serve", "--keep-days", "KEEP_DAYS", "36500", 36_500),
    ("serve", "--keep-days", "MOVEMENT_RETENTION_DAYS", "90", 90),
    ("serve", "--rate-limit-per-minute", "RATE_LIMIT_PER_MINUTE", "60", 60),
    ("serve", "--events-heartbeat-s", "RABBITMQ_HEARTBEAT", "7", 7),
    ("serve", "--events-prefetch", "RABBITMQ_PREFETCH_COUNT", "7", 7),
    ("serve", "--sample", "", None, True),
    ("serve", "--events-to", "EVENTS_TO", "amqp://a", "amqp://a"),
    ("serve", "--consume", "EVENTS_FROM", "amqp://a", "amqp://a"),
    ("serve", "--events-exchange", "RABBITMQ_EXCHANGE_INVENTORY", "erp.events", "erp.events"),
    ("serve", "--cells-map", "STOCKKEEPER_CELLS_MAP", "m.toml", "m.toml"),
    ("serve", "--cell", "STOCKKEEPER_CELL", "a", "a"),
    ("serve", "--cells", "STOCKKEEPER_CELLS", "4", 4),
    ("serve", "--log-level", "LOG_LEVEL", "debug", "debug"),
    ("serve", "--log-format", "LOG_FORMAT", "json", "json"),
    ("serve", "--metrics-port", "METRICS_PORT", "0", 0),
    ("serve", "--metrics-host", "METRICS_HOST", "0.0.0.0", "0.0.0.0"),
    ("serve", "--metrics-path", "METRICS_PATH", "/m", "/m"),
    ("serve", "--slow-call-ms", "SLOW_CALL_MS", "7", 7),
    ("serve", "--traces", "", None, True),
    *ROUTE_OPTIONS,
    ("health", "--json", "", None, True),
    ("health", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("move", "--json", "", None, True),
    ("move", "--from", "MOVE_FROM_URL", "sqlite:///a.db", "sqlite:///a.db"),
    ("move", "--to", "MOVE_TO_URL", "sqlite:///a.db", "sqlite:///a.db"),
    ("move", "--from-password-file", "", "f", "f"),
    ("move", "--to-password-file", "", "f", "f"),
    ("doctor", "--database-url", "DATABASE_URL", "sqlite:///a.db", "sqlite:///a.db"),
    ("doctor", "--json", "", None, True),
    ("check", "--json", "", None, True),
    ("check", "--database-url", "DATABASE_URL", "sqlite:///a.db", "sqlite:///a.db"),
    ("backup copy.db", "--database-url", "DATABASE_URL", "sqlite:///a.db", "sqlite:///a.db"),
    ("backup copy.db", "--json", "", None, True),
    ("backup copy.db", "--replace", "", None, True),
    ("import a.csv", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("import a.csv", "--request-id", "", "r", "r"),
    ("import a.csv", "--json", "", None, True),
    ("stock shop", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("stock shop", "--warehouse", "", "w", "w"),
    ("stock shop", "--rows", "", "2147483647", 2_147_483_647),
    ("stock shop", "--watch", "", None, True),
    ("stock shop", "--json", "", None, True),
    ("receive shop mug:1@w", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("receive shop mug:1@w", "--damaged", "", None, True),
    ("receive shop mug:1@w", "--from-in-transit", "", None, True),
    ("receive shop mug:1@w", "--reason", "", "x", "x"),
    ("receive shop mug:1@w", "--reference", "", "x", "x"),
    ("receive shop mug:1@w", "--request-id", "", "r", "r"),
    ("receive shop mug:1@w", "--json", "", None, True),
    ("announce shop mug:1@w", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("announce shop mug:1@w", "--reason", "", "x", "x"),
    ("announce shop mug:1@w", "--reference", "", "x", "x"),
    ("announce shop mug:1@w", "--request-id", "", "r", "r"),
    ("announce shop mug:1@w", "--json", "", None, True),
    ("deduct shop mug:1@w", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("deduct shop mug:1@w", "--reason", "", "x", "x"),
    ("deduct shop mug:1@w", "--reference", "", "x", "x"),
    ("deduct shop mug:1@w", "--request-id", "", "r", "r"),
    ("deduct shop mug:1@w", "--json", "", None, True),
    ("delete shop mug@w", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("delete shop mug@w", "--reason", "", "x", "x"),
    ("delete shop mug@w", "--reference", "", "x", "x"),
    ("delete shop mug@w", "--request-id", "", "r", "r"),
    ("delete shop mug@w", "--json", "", None, True),
    ("adjust shop mug@w count 5", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("adjust shop mug@w count 5", "--expected-total", "", "7", 7),
    ("adjust shop mug@w count 5", "--release-uncovered", "", None, True),
    ("adjust shop mug@w count 5", "--reason", "", "x", "x"),
    ("adjust shop mug@w count 5", "--reference", "", "x", "x"),
    ("adjust shop mug@w count 5", "--request-id", "", "r", "r"),
    ("adjust shop mug@w count 5", "--json", "", None, True),
    ("stock shop mug --warehouse w", "--at", "", "x", "x"),
    ("movements shop", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    *(
        ("movements shop", f"--{name}", "", "x", "x")
        for name in ("warehouse", "order", "reservation", "reference", "after", "before")
    ),
    ("movements shop", "--kind", "", "receive", ("receive",)),
    ("movements shop", "--newest-first", "", None, True),
    ("movements shop", "--rows", "", "7", 7),
    ("movements shop", "--json", "", None, True),
    ("watch shop", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("watch shop", "--variant", "", "v", ("v",)),
    ("watch shop", "--warehouse", "", "w", ("w",)),
    ("watch shop", "--snapshot", "", None, True),
    ("watch shop", "--token", "", "t", "t"),
    ("watch shop", "--json", "", None, True),
    ("warehouses shop", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("warehouses shop", "--active-only", "", None, True),
    ("warehouses shop", "--rows", "", "7", 7),
    ("warehouses shop", "--watch", "", None, True),
    ("warehouses shop", "--json", "", None, True),
    ("warehouse shop w1", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("warehouse shop w1", "--name", "", "x", "x"),
    ("warehouse shop w1", "--code", "", "x", "x"),
    ("warehouse shop w1", "--reason", "", "x", "x"),
    ("warehouse shop w1", "--reference", "", "x", "x"),
    ("warehouse shop w1", "--priority", "", "7", 7),
    ("warehouse shop w1", "--close", "", None, True),
    ("warehouse shop w1", "--reopen", "", None, True),
    ("warehouse shop w1", "--request-id", "", "r", "r"),
    ("warehouse shop w1", "--json", "", None, True),
    ("reserve-basket shop o1 mug:1", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("reserve-basket shop o1 mug:1", "--split", "", None, True),
    ("reserve-basket shop o1 mug:1", "--partial", "", None, True),
    ("reserve-basket shop o1 mug:1", "--ttl-minutes", "", "7", 7),
    ("reserve-basket shop o1 mug:1", "--reason", "", "x", "x"),
    ("reserve-basket shop o1 mug:1", "--reference", "", "x", "x"),
    ("reserve-basket shop o1 mug:1", "--request-id", "", "r", "r"),
    ("reserve-basket shop o1 mug:1", "--json", "", None, True),
    ("sourcing shop", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("sourcing shop", "--reason", "", "x", "x"),
    ("sourcing shop", "--reference", "", "x", "x"),
    ("sourcing shop", "--request-id", "", "r", "r"),
    ("sourcing shop", "--json", "", None, True),
    ("levels shop mug@w", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("levels shop mug@w", "--min", "", "7", 7),
    ("levels shop mug@w", "--max", "", "7", 7),
    ("levels shop mug@w", "--reorder-point", "", "7", 7),
    ("levels shop mug@w", "--rows", "", "7", 7),
    ("levels shop mug@w", "--reason", "", "x", "x"),
    ("levels shop mug@w", "--reference", "", "x", "x"),
    ("levels shop mug@w", "--warehouse", "", "x", "x"),
    ("levels shop mug@w", "--request-id", "", "x", "x"),
    ("levels shop mug@w", "--alert", "", "warning", "warning"),
    ("levels shop", "--watch", "", None, True),
    ("levels shop mug@w", "--json", "", None, True),
    ("keys k.toml shop", "--organization", "", "shop", ("shop",)),
    ("keys k.toml shop", "--scope", "", "read", ("read",)),
    ("keys k.toml shop", "--token", "", None, True),
    ("keys k.toml shop", "--json", "", None, True),
    ("check", "--cells-map", "STOCKKEEPER_CELLS_MAP", "m.toml", "m.toml"),
    ("cells where cells.toml shop", "--json", "", None, True),
    ("cells split", "--into", "", "4", 4),
    ("cells split --into 4", "--database-url", "DATABASE_URL", "sqlite:///a.db", "sqlite:///a.db"),
    ("cells move cells.toml shop", "--to", "", "north", "north"),
    ("stock shop", "--prefix", "", "x", "x"),
    ("export shop", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("export shop", "--prefix", "", "x", "x"),
    ("export shop", "--warehouse", "", "x", "x"),
    ("export shop", "--json", "", None, True),
    ("stock shop", "--status", "", "low_stock", "low_stock"),
    ("stock shop", "--alert", "", "critical", "critical"),
    ("serve", "--default-min-stock", "DEFAULT_MIN_STOCK", "7", 7),
    ("serve", "--default-max-stock", "DEFAULT_MAX_STOCK", "7", 7),
    ("serve", "--default-reorder-point", "DEFAULT_REORDER_POINT", "7", 7),
    ("transfer shop a b mug:1", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("transfer shop a b mug:1", "--transfer-id", "", "t", "t"),
    ("transfer shop a b mug:1", "--reason", "", "x", "x"),
    ("transfer shop a b mug:1", "--reference", "", "x", "x"),
    ("transfer shop a b mug:1", "--request-id", "", "r", "r"),
    ("transfer shop a b mug:1", "--json", "", None, True),
    ("transfer-receive shop t mug:1", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("transfer-receive shop t mug:1", "--damaged", "", None, True),
    ("transfer-receive shop t mug:1", "--missing", "", None, True),
    ("transfer-receive shop t mug:1", "--close", "", None, True),
    ("transfer-receive shop t mug:1", "--reason", "", "x", "x"),
    ("transfer-receive shop t mug:1", "--reference", "", "x", "x"),
    ("transfer-receive shop t mug:1", "--request-id", "", "r", "r"),
    ("transfer-receive shop t mug:1", "--json", "", None, True),
    ("transfer-cancel shop t", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("transfer-cancel shop t", "--reason", "", "x", "x"),
    ("transfer-cancel shop t", "--reference", "", "x", "x"),
    ("transfer-cancel shop t", "--request-id", "", "r", "r"),
    ("transfer-cancel shop t", "--json", "", None, True),
    ("top shop", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("transfers shop", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("transfers shop", "--state", "", "received", "received"),
    ("transfers shop", "--warehouse", "", "w", "w"),
    ("transfers shop", "--rows", "", "7", 7),
    ("transfers shop", "--watch", "", None, True),
    ("transfers shop", "--json", "", None, True),
    ("explain shop mug:1", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("explain shop mug:1", "--order", "", "o1", "o1"),
    ("explain shop mug:1", "--split", "", None, True),
    ("explain shop mug:1", "--json", "", None, True),
    ("reservations shop", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("reservations shop", "--state", "", "active", "active"),
    ("reservations shop", "--variant", "", "v", "v"),
    ("reservations shop", "--warehouse", "", "w", "w"),
    ("reservations shop", "--created-after", "", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
    ("reservations shop", "--created-before", "", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
    ("reservations shop", "--rows", "", "007", 7),
    ("reservations shop", "--watch", "", None, True),
    ("reservations shop", "--json", "", None, True),
    ("reserve shop o1 mug:1", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("reserve shop o1 mug:1", "--ttl-minutes", "", "44640", 44_640),
    ("reserve shop o1 mug:1", "--json", "", None, True),
    ("confirm shop r o1", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("confirm shop r o1", "--json", "", None, True),
    ("release shop r", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("release shop r", "--json", "", None, True),
    ("fulfill shop r", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("reservation shop r", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("reservation shop r", "--json", "", None, True),
    ("extend shop r", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("extend shop r", "--ttl-minutes", "", "30", 30),
    ("extend shop r", "--reason", "", "x", "x"),
    ("extend shop r", "--reference", "", "x", "x"),
    ("extend shop r", "--request-id", "", "r", "r"),
    ("extend shop r", "--json", "", None, True),
    ("amend shop r mug:1", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("amend shop r mug:1", "--reason", "", "x", "x"),
    ("amend shop r mug:1", "--reference", "", "x", "x"),
    ("amend shop r mug:1", "--request-id", "", "r", "r"),
    ("amend shop r mug:1", "--json", "", None, True),
    ("reacquire shop r", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("reacquire shop r", "--ttl-minutes", "", "30", 30),
    ("reacquire shop r", "--reason", "", "x", "x"),
    ("reacquire shop r", "--reference", "", "x", "x"),
    ("reacquire shop r", "--request-id", "", "r", "r"),
    ("reacquire shop r", "--json", "", None, True),
    ("relay", "--to", "RABBITMQ_URL", "amqp://a", "amqp://a"),
    ("relay", "--name", "", "x", "x"),
    ("relay", "--from", "", "x", "x"),
    ("relay", "--events-format", "", "cloudevents", "cloudevents"),
    ("relay", "--no-declare", "", None, True),
    ("relay", "--exchange", "RABBITMQ_EXCHANGE_INVENTORY", "erp.events", "erp.events"),
    ("relay", "--heartbeat-s", "RABBITMQ_HEARTBEAT", "7", 7),
    ("relay", "--in-flight", "", "7", 7),
    ("relay", "--log-level", "LOG_LEVEL", "debug", "debug"),
    ("relay", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("events tail", "--from", "", "x", "x"),
    ("events redrive", "--broker", "RABBITMQ_URL", "amqp://a", "amqp://a"),
    ("consume", "--from", "RABBITMQ_URL", "amqp://a", "amqp://a"),
    ("consume", "--no-declare", "", None, True),
    ("consume", "--exchange", "RABBITMQ_EXCHANGE_INVENTORY", "erp.events", "erp.events"),
    ("consume", "--heartbeat-s", "RABBITMQ_HEARTBEAT", "7", 7),
    ("consume", "--prefetch", "RABBITMQ_PREFETCH_COUNT", "7", 7),
    ("consume", "--log-level", "LOG_LEVEL", "debug", "debug"),
    ("consume", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("events tail", "--events-format", "", "cloudevents", "cloudevents"),
    ("events tail", "--json", "", None, True),
    ("events tail", "--target", "STOCKKEEPER_TARGET", "a:1", "a:1"),
    ("fulfill shop r", "--close", "", None, True),
    ("fulfill shop r", "--reason", "", "x", "x"),
    ("fulfill shop r", "--reference", "", "x", "x"),
    ("fulfill shop r", "--request-id", "", "r", "r"),
    ("fulfill shop r", "--json", "", None, True),
]
BOUNDS = [
    ("serve", "--port", ("0", "65535"), ("-1", "65536")),
    ("serve", "--frontends", ("0", "64"), ("65",)),
    ("serve", "--metrics-port", ("0", "65535"), ("-1", "65536")),
    ("serve", "--slow-call-ms", ("1",), ("0",)),
    ("serve", "--message-bytes-max", ("1024", str(MESSAGE_BYTES_MAX)), ("1023", str(MESSAGE_BYTES_MAX + 1))),
    ("serve", "--grace-s", ("0", "0.001"), ("-1", "inf", "1e3", "")),
    ("serve", "--token-leeway-s", ("0", "600"), ("-1", "601")),
    ("keys a b", "--minutes", ("1", "527040"), ("0", "527041")),
    ("serve", "--keep-days", ("0", "36500"), ("-1", "36501")),
    ("stock shop", "--rows", ("1",), ("0", "2147483648")),
    ("reserve shop o1 mug:1", "--ttl-minutes", ("0", "44640"), ("44641",)),
    ("relay", "--heartbeat-s", ("0", "3600"), ("3601",)),
    ("relay", "--in-flight", ("1", "10000"), ("0", "10001")),
    ("simulate", "--jobs", ("1", "1024"), ("0", "1025")),
    ("simulate", "--clients", ("1",), ("0",)),
    ("simulate", "--operations", ("1",), ("0",)),
    ("simulate", "--fresh", ("0",), ("-1",)),
    ("simulate", "--seed", ("0", "9007199254740992"), ("9007199254740993",)),
]
OPTIONS += [
    (command, option, variable, text, text)
    for command in ("serve", "check", "doctor", "backup copy.db", "cells split --into 4")
    for option, variable, text in (
        ("--database-password-file", "DATABASE_PASSWORD_FILE", "p"),
        ("--database-schema", "DATABASE_SCHEMA", "s"),
    )
]
BOUNDED = ("limits", "bounds")  # tests/system/test_bound_options.py has these
VARIABLES = sorted({variable for _, _, variable, _, _ in OPTIONS if variable})


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def given(*words: str) -> dict[str, Any]:
    """What the command would be called with, by name."""
    command, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    bound.apply_defaults()
    assert callable(command)
    return {
        name: value for each in bound.arguments.items() if each[0] not in BOUNDED for name, value in flat(*each).items()
    }


def flat(name: str, value: Any) -> dict[str, Any]:
    """An argument, or those that a group of options has."""
    if isinstance(value, Struct):
        return asdict(value)
    return dict(vars(value)) if is_dataclass(value) else {name: value}


def name_of(option: str) -> str:
    name = option.removeprefix("--").replace("-", "_")
    return f"{name}_" if name == "from" else name  # a word of Python's


@pytest.mark.parametrize(("command", "option", "variable", "text", "value"), OPTIONS)
def test_an_option_is_read_and_goes_before_its_variable(
    monkeypatch: pytest.MonkeyPatch, command: str, option: str, variable: str, text: str | None, value: object
) -> None:
    name, words = name_of(option), command.split()
    default = given(*words)[name]
    assert default != value
    values = [] if text is None else [text]
    assert given(*words, option, *values)[name] == value
    if variable:
        monkeypatch.setenv(variable, text or "")
        assert given(*words)[name] == value
        other_text, other = OTHERS[variable]
        assert given(*words, option, other_text)[name] == other


@pytest.mark.parametrize(("command", "option", "good", "bad"), BOUNDS)
def test_a_number_has_bounds(command: str, option: str, good: tuple[str, ...], bad: tuple[str, ...]) -> None:
    for text in good:
        assert given(*command.split(), option, text)[name_of(option)] == float(text)
    for text in bad:
        with pytest.raises(CoercionError):
            given(*command.split(), option, text)


def test_every_option_is_in_the_table() -> None:
    listed = {(command.split()[0], name_of(option)) for command, option, *_ in OPTIONS}
    listed |= {(command.split()[0], name_of(option)) for command, option, *_ in BOUNDS}
    listed |= {("simulate", name) for name in ("seeds", "regressions", "every_step", "shrink", "backend", "disk")}
    listed |= {
        (name, "config") for name in ("serve", "route", "relay", "consume", "check", "backup", "doctor")
    }  # test_configuration.py
    listed.add(("config", "json"))
    listed |= {("simulate", name) for name in ("options", "salt", "bug")}  # tests/simulation/test_command.py has these
    for command in COMMANDS:
        function = app[command].default_command
        assert function is not None
        every = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
        options = {name for p in every if p.name not in BOUNDED for name in flat(p.name, p.default)}
        assert options == {name for its, name in listed if its == command}
