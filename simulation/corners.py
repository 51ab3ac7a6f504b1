"""Corners of the swarm: runs in which one particular thing happens all the time that elsewhere hardly ever happens."""

from random import Random
from typing import Any

from supervisor.transactions.journal import CROWD_MIN


def _last_pieces(random: Random) -> dict[str, Any]:
    """A few baskets of several lines meet once, on goods of which hardly any are left, in rows that answer slowly: some
    wait for a rival that then fails, and no later message wakes them by chance.
    """
    return {
        "clients": random.choice((16, 24, 40)),
        "operations": 1,
        "think_s": random.choice((0.0, 0.0, 0.02)),
        "rounds_s": 0.0,
        "dispatch": "tasks",
        "inline_orders": random.choice((0.0, 0.5)),
        "inline_rows": random.choice((0.0, 0.0, 0.5)),
        "slow_turns": random.choice((0.5, 0.8)),
        "slow_turn_s": random.choice((0.1, 1.0)),
        "organizations": 1,
        "variants": random.choice((4, 5, 8)),
        "warehouses": 1,
        "pieces": random.choice((4, 5)),
        "orders": 200,
        "lines_min": random.choice((2, 3)),
        "import_lines_max": 24,
        "wishes": (16, 0, 1, 0, 0, random.choice((0, 1)), 0, 16, 0, 0, 0, 0),
    }


def _little_memory(random: Random) -> dict[str, Any]:
    """More goods and orders than fit in memory, in rows that answer slowly: the core passivates and loads all the time,
    and must keep what is in use.
    """
    return {
        "clients": random.choice((6, 12)),
        "think_s": random.choice((0.0, 0.02)),
        "rounds_s": 0.0,
        "dispatch": "tasks",
        "inline_rows": random.choice((0.0, 0.5)),
        "slow_turns": random.choice((0.3, 1.0)),
        "slow_turn_s": random.choice((0.03, 0.1)),
        "slow_store_s": 0.01,
        "variants": random.choice((5, 8)),
        "warehouses": random.choice((1, 2)),
        "pieces": random.choice((3, 8)),
        "orders": random.choice((6, 60)),
        "lines_min": random.choice((1, 2)),
        "variants_in_memory": random.choice((1, 2)),
        "orders_in_memory": random.choice((1, 4)),
        "idle_timeout_s": random.choice((0.02, 0.1)),
        "import_lines_max": random.choice((4, 24)),
        "wishes": (8, 2, 4, 1, 4, 1, 1, 8, 4, 4, 1, 1),
    }


def _onlookers(random: Random) -> dict[str, Any]:
    """Lists, which the database answers, beside reads, which memory answers. The database knows of a commit long before
    memory does.
    """
    return {
        "clients": random.choice((6, 12)),
        "think_s": random.choice((0.0, 0.0, 0.01)),
        "rounds_s": 0.0,
        "hurry": 0.0,
        "slow_turns": 0.0,
        "slow_store": random.choice((0.2, 0.5)),
        "slow_store_s": random.choice((0.01, 0.1)),
        "variants": random.choice((1, 2)),
        "variants_in_memory": 100,
        "idle_timeout_s": 30.0,
        "pieces": random.choice((8, 30)),
        "orders": random.choice((20, 60)),
        "wishes": (6, 1, 2, 1, 8, 0, 0, 4, 8, 16, 16, 2),
    }


def _bugs_in_rows(random: Random) -> dict[str, Any]:
    """Rows meet bugs and are loaded again while their changes are on the way to the disk."""
    return {
        "clients": random.choice((6, 12)),
        "think_s": random.choice((0.0, 0.02)),
        "rounds_s": 0.0,
        "dispatch": "tasks",
        "inline_orders": random.choice((0.0, 0.5)),
        "inline_rows": random.choice((0.0, 0.4)),
        "slow_turns": 0.0,
        "actor_crash": random.choice((0.02, 0.1)),
        "slow_store": random.choice((0.5, 1.0)),
        "slow_store_s": random.choice((0.1, 1.0)),
        "variants": random.choice((1, 2)),
        "pieces": random.choice((8, 30)),
        "orders": random.choice((20, 200)),
        "wishes": (16, 1, 8, 1, 4, 0, 1, 8, 1, 1, 1, 1),
    }


def _jigsaw(random: Random) -> dict[str, Any]:
    """Baskets of many lines of one variant, in warehouses that hold hardly more: packing decides whether they fit."""
    return {
        "clients": random.choice((6, 12)),
        "operations": random.choice((20, 30)),
        "think_s": random.choice((0.0, 0.1)),
        "rounds_s": 0.0,
        "hurry": 0.0,
        "variants": 1,
        "warehouses": random.choice((2, 3)),
        "pieces": random.choice((6, 8)),
        "orders": random.choice((20, 60)),
        "lines_min": 4,
        "names_warehouse": 0.1,
        "wishes": (8, 1, 8, 1, 4, 0, 1, 8, 24, 0, 0, 0),
    }


def _two_owners(random: Random) -> dict[str, Any]:
    """Another process takes over while many clients read and hardly any writes: a write would tell the old process that
    it was driven out.
    """
    return {
        "clients": random.choice((6, 12)),
        "operations": random.choice((14, 20)),
        "think_s": random.choice((0.1, 0.1, 1.0)),
        "rounds_s": 0.0,
        "slow_turns": 0.0,
        "second_owners": random.choice((2, 3)),
        "crash_steps": (),
        "organizations": 1,
        "variants": 1,
        "warehouses": 1,
        "variants_in_memory": 100,
        "pieces": 30,
        "orders": 200,
        "wishes": (random.choice((2, 8)), 0, 0, 0, random.choice((2, 8)), 0, 0, 0, 4, 32, 0, 0),
    }


def _stocktaking(random: Random) -> dict[str, Any]:
    """Goods are counted while most of them are reserved, and warehouses get new names: many counts are refused for many
    lines, and readers look while a count is on its way to the disk.
    """
    return {
        "clients": random.choice((6, 12)),
        "operations": random.choice((10, 14)),
        "think_s": random.choice((0.0, 0.02, 0.1)),
        "rounds_s": 0.0,
        "slow_store": random.choice((0.2, 0.5)),
        "slow_store_s": random.choice((0.01, 0.1)),
        "variants": 4,
        "warehouses": random.choice((2, 3)),
        "pieces": random.choice((2, 3)),
        "orders": 200,
        "lines_min": 3,
        "import_lines_max": 16,
        "idle_timeout_s": 30.0,
        "variants_in_memory": 100,
        "keep_s": 0,
        "wishes": (16, 8, 0, 1, 2, 8, 1, 8, 0, 8, 4, 1),
    }


def _crowd(random: Random) -> dict[str, Any]:
    """More callers at one moment than the journal takes for a few, on plenty of goods: batches are gathered, and the
    crowd comes and goes in rounds.
    """
    return {
        "clients": random.choice((50, 80)),
        "operations": random.choice((4, 6)),
        "think_s": 0.1,
        "rounds_s": random.choice((0.1, 0.2)),
        "crowd_min": CROWD_MIN,
        "dispatch": random.choice(("inline", "mixed")),
        "slow_turns": 0.0,
        "slow_store": 1.0,
        "slow_store_s": 0.1,
        "mailbox": 1_000,
        "calls": 10_000,
        "variants": 4,
        "variants_in_memory": 100,
        "orders_in_memory": 100,
        "pieces": random.choice((30, 60)),
        "orders": 200,
        "lines_min": 1,
        "wishes": (16, 4, 4, 1, 16, 0, 1, 1, 1, 1, 1, 1),
    }


def _typing_errors(random: Random) -> dict[str, Any]:
    """Rows come and go: few pieces, taken in and sold again by many, while others look."""
    return {
        "clients": random.choice((6, 12)),
        "operations": random.choice((14, 20)),
        "think_s": random.choice((0.0, 0.02)),
        "rounds_s": 0.0,
        "slow_turns": random.choice((0.0, 0.6)),
        "slow_turn_s": random.choice((0.03, 0.1)),
        "slow_store": random.choice((0.2, 0.5)),
        "slow_store_s": random.choice((0.01, 0.1)),
        "variants": random.choice((1, 2)),
        "warehouses": random.choice((1, 2)),
        "pieces": 1,
        "orders": 60,
        "wishes": (4, 0, 1, 0, 24, 0, 1, 1, 2, 8, 4, 0),
    }


def meetings(random: Random) -> dict[str, Any]:
    """Operations meet in one row: they find each other in its mailbox, which is emptied late, and find each other's
    changes on the way to a slow disk. Hardly anything else happens.
    """
    return {
        "clients": random.choice((3, 5)),
        "operations": random.choice((6, 10)),
        "think_s": random.choice((0.1, 1.0)),
        "rounds_s": 0.0,
        "hurry": 0.0,
        "meets": 0.8,
        "dispatch": "tasks",
        "inline_orders": random.choice((0.0, 0.5)),
        "inline_rows": 0.0,
        "slow_turns": random.choice((0.5, 0.8)),
        "slow_turn_s": random.choice((0.03, 0.1)),
        "slow_network": 0.0,
        "slow_store": random.choice((0.5, 1.0)),
        "slow_store_s": random.choice((0.3, 1.0)),
        "variants": random.choice((3, 4)),
        "variants_in_memory": 100,
        "idle_timeout_s": 30.0,
        "mailbox": 1_000,
        "calls": 10_000,
        "pieces": 8,
        "orders": 60,
        "wishes": (4, 1, 1, 1, 1, 0, 0, 1, 2, 4, 2, 1),
    }


def choosy(random: Random) -> dict[str, Any]:
    """In some seeds several warehouses have some of everything: which serve a basket is a matter of the policy."""
    if random.random() >= 0.15:
        return {}
    return {
        "sourcing": random.choice((0.4, 0.8)),
        "organizations": random.choice((1, 1, 2)),
        "warehouses": random.choice((2, 3, 3, 4)),
        "variants": random.choice((2, 3)),
        "pieces": random.choice((3, 6, 9)),
        "names_warehouse": 0.2,
        "orders": random.choice((20, 60)),
        "sites": random.choice((0.0, 0.1)),
    }


def staging(random: Random) -> dict[str, Any]:
    """Imports are staged first. In half of these runs there are many, of many rows, of which few are in memory: some
    are asked for while they are still to be folded.
    """
    if random.random() < 0.5:
        return {"staged_from": random.choice((1, 1, 3))}
    return {
        "staged_from": 1,
        "clients": random.choice((4, 8)),
        "operations": random.choice((10, 14)),
        "think_s": random.choice((0.02, 0.1, 0.5)),
        "rounds_s": 0.0,
        "variants": random.choice((5, 8)),
        "warehouses": random.choice((1, 2)),
        "import_lines_max": random.choice((8, 24)),
        "variants_in_memory": random.choice((1, 2, 4)),
        "idle_timeout_s": random.choice((0.1, 0.5)),
        "wishes": (8, 2, 2, 1, 2, 8, 2, 4, 4, 4, 4, 1),
    }


LATER_CORNERS = (_stocktaking, _crowd, _typing_errors)

CORNERS = (
    _last_pieces,
    _last_pieces,
    _little_memory,
    _onlookers,
    _onlookers,
    _bugs_in_rows,
    _jigsaw,
    _two_owners,
    _two_owners,
)


def with_cells(random: Random, chosen: dict[str, Any]) -> dict[str, Any]:
    """What suits a world with cells: a request is of one organization, answers name no LSN, and what is over stays."""
    suited: dict[str, Any] = {
        "cells": True,
        "keep_s": 0,
        "staged_from": 0,
        "history": 0.0,
        "clients": min(chosen["clients"], 8),
        "operations": min(chosen["operations"], 12),
        "organizations": random.choice((1, 2, 2)),
        "think_s": random.choice((0.1, 0.5, 1.0)),
        "variants": min(chosen["variants"], 4),
        "pieces": max(chosen["pieces"], 6),
        "second_owners": random.choice((0, 0, 1, 3)),
    }
    kind = random.random()
    if kind < 0.2:  # those who are driven out have many readers
        suited |= _two_owners(random) | {"think_s": 0.1, "sites": 0.0, "meets": 0.0, "losses": 0.0, "sourcing": 0.0}
    elif kind < 0.4:  # reservations run out while organizations move
        suited |= {"slow_turns": 0.5, "slow_turn_s": 1.0, "aims_at_expiry": 0.6, "think_s": 1.0, "dispatch": "tasks"}
        suited |= {"wishes": (16, 8, 4, 1, 2, 0, 1, 8, 1, 1, 1, 1), "inline_orders": 0.2, "inline_rows": 0.2}
    return suited
