"""Whatever bounds something in `rpc` and `supervisor` is an option, or stands here with the reason why it is none."""

import ast
import re
from collections.abc import Iterator
from typing import get_args, get_type_hints

from msgspec import Meta

from rpc.network_bounds import NetworkBounds
from supervisor.limits import Limits
from tests.system.servers import ROOT

NAMED_AS_A_BOUND = re.compile(r"[A-Z][A-Z_]*_(MAX|S|MS|BYTES)")
UNITS = ("_s", "_ms", "_minutes", "_days")
FIXED = {
    "callers and stored data rely on it": {
        *("import_upload.ORGANIZATIONS_MAX", "import_upload.WAREHOUSES_MAX", "stock_service.ERROR_CHARACTERS_MAX"),
        *("reservation_stream.REQUESTS_A_MESSAGE_MAX", "reservation_stream.REPLIES_BYTES_MAX", "link.LENGTH_BYTES"),
        *("tokens.TOKEN_CHARACTERS_MAX", "jwks.BYTES_MAX", "jwks.KEYS_MAX", "field_checks.PAGE_SIZE_MAX"),
        *("parsing.CALL_FIELDS_MAX", "parsing.STREAM_FIELDS_MAX", "parsing.UNCOUNTED_BYTES_MAX"),
        *("feed_messages.WAIT_MS_MAX", "status.DETAILS_BYTES_MAX", "history_messages.FILTERS_MAX"),
        *("cursors.LEASE_S", "change_stream.BEHIND_MAX", "large_imports.BAD_ROWS_HELD_MAX", "cursors.CURSORS_MAX"),
    },
    "a router and an owner begin with it, before either knows the other": {
        *("link_greeting.GREETING_BYTES", "link_greeting.GREETED_WITHIN_S", "link_listener.GREETINGS_MAX"),
        *("owner_link.PING_EVERY_S", "owner_link.PINGS_UNANSWERED_MAX", "owner_link.NOT_SERVING_MAX"),
    },
    "what gRPC keeps of calls that come is bounded before, by an option": {"core_listener.CROWD_MAX"},
    "what is done before others have their turn": {
        *(
            "core_listener.TURN_OF_A_CROWD_S",
            "link.MESSAGES_A_FRAME_MAX",
            "core_listener.TURN_S",
            "fair_turns.LARGE_BYTES",
            "fair_turns.PAGE_BYTES",
        ),
        *("fair_turns.TURN_BYTES", "fair_turns.BEGUN_BYTES_MAX", "slow_callers.LARGE_BYTES", "slow_callers.LOOK_BYTES"),
        *("reservation_stream.LINE_BYTES", "chunks.ROWS_MAX", "journal.BATCH_ENTRIES_MAX", "loader.KEYS_A_READ_MAX"),
        "stock_directory.ROWS_A_BASKET_MAX",
        *("read_turns.VERY_LARGE_BYTES", "journal.LITTLE_S", "expiry_hints.AT_ONCE_MAX", "expiry_hints.ASIDE_MAX"),
        *("fair_turns.STEP_BYTES", "company.COMPANY_S", "read_turns.LARGE_BYTES", "read_turns.PAUSE_S"),
        *("news.ROWS_LOOKED_AT_MAX", "expiry.BATCH_ORDERS_MAX", "expiry.LOOK_ORDERS_MAX", "folding.REST_S"),
        "watching.READS_MAX",
    },
    "it tells a flood from calls, by what gRPC and calls may have on their way": {
        *("connection_watch.SUSPECT_BYTES", "connection_watch.ALLOWED_BYTES", "connection_watch.HEADERS_BYTES"),
        *("connection_watch.SUSPECT_ADDRESS_S", "connection_watch.CALM_S", "connection_watch.ADDRESSES_MAX"),
        "connection_watch.CROWDED_S",
        "address_filter.ADDRESSES_MAX",
    },
    "how often it is looked at, or tried again": {
        *("connection_watch.LOOK_EVERY_S", "connection_watch.LOOK_AT_SUSPECTS_EVERY_S"),
        *("connection_watch.COUNT_EVERY_S", "connection_watch.KEEN_S"),
        *("change_stream.HEARTBEAT_MS", "open_streams.MAKES_ROOM_AFTER_S", "open_streams.SWEEP_EVERY_S"),
        *("rpc_server.LINGER_S", "key_ring.LOOK_EVERY_S", "guard.LOOK_EVERY_S", "jwks.FETCH_TIMEOUT_S"),
        *("token_keys.REFRESH_S", "token_keys.RETRY_S", "token_keys.LOOK_EVERY_S", "aio_listener.ENDING_S"),
        *("aio_listener.LOOK_EVERY_S", "slow_callers.LOOK_EVERY_S", "core_listener.LOOK_EVERY_S", "uploads.IDLE_S"),
        *("supervisor.REOPEN_PAUSE_MIN_S", "supervisor.REOPEN_PAUSE_MAX_S", "supervisor.HEALTHY_AFTER_S"),
        *("housekeeping.RETRY_S", "housekeeping.MARGIN_MS", "expiry.RETRY_MS", "expiry.PAUSE_S", "journal.LULL_S"),
        *("incarnation.TRIM_PAUSE_S", "sweeping.LOOK_EVERY_S", "losses.LOOKING_MS_MAX"),
        *("move_leases.LEASE_S", "move_leases.LOOK_S"),
    },
    "how much the log and the metrics tell": {
        *("line_budget.NAMES_MAX", "call_ids.TOLD_CHARACTERS_MAX", "stock_directory.DAMAGED_TOLD_MAX"),
        *("expiry.TOLD_AGAIN_MS", "call_watch.DURATIONS_S", "coordinator.WAITS_S", "journal.COMMITS_S"),
    },
    "it only saves work": {
        *("tokens.KEPT_MAX", "tokens.KEPT_S_MAX", "row_claims.BLOCK_CLAIMS_MAX", "expiry_hints.CLAIMS_MAX"),
        "incarnation.TRANSFER_LINES_MAX",
        *("news.ORGANIZATIONS_MAX", "watch_pages.KEPT_MAX"),
    },
    "the kernel says so": {"socket_facts.COOKIE_BYTES", "socket_facts.ADDRESS_BYTES"},
    "it is a unit": {"network_bounds.DAY_S", "limits.DAY_S", "housekeeping.DAY_MS", "rate_limits.MINUTE_S"},
    "it is the default of an option": {
        *("frame.CALLS_MAX", "server_options.MESSAGE_BYTES_MAX", "call_watch.SLOW_CALL_S", "journal.GATHER_S"),
    },
}


def bounds_in_the_code() -> Iterator[str]:
    for room in ("rpc", "supervisor"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.parse(path.read_text()).body:
                targets = node.targets if isinstance(node, ast.Assign) else []
                for name in (one.id for one in targets if isinstance(one, ast.Name)):
                    if NAMED_AS_A_BOUND.fullmatch(name):
                        yield f"{path.stem}.{name}"


def test_a_bound_that_is_no_option_has_a_reason() -> None:
    reasons = [name for names in FIXED.values() for name in names]
    assert len(reasons) == len(set(reasons))
    assert set(bounds_in_the_code()) == set(reasons)


def test_each_option_has_its_unit_in_its_name_or_counts_what_the_name_says() -> None:
    for struct in (Limits, NetworkBounds):
        for name, hint in get_type_hints(struct, include_extras=True).items():
            for meta in (one for one in get_args(hint)[1:] if isinstance(one, Meta)):
                text = meta.description or ""
                if name.endswith(UNITS):
                    assert "seconds" in text or "minutes" in text, (name, text)
                else:
                    assert name.endswith("_max"), name
                    assert ("bytes" in name) == ("bytes" in text), (name, text)
