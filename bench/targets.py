"""The targets of the service, and the figures that say whether they are reached."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

Results = Mapping[str, Mapping[str, Mapping[str, float]]]


class Target(NamedTuple):
    """A figure that the service must reach.

    Args:
        text: its name for people.
        at_least: whether `asked` is the least or the most.
        asked: the limit.
        reached: the figure from the results.
        held_by: the suite that measures it.
    """

    text: str
    at_least: bool
    asked: float
    reached: Callable[[Results], float]
    held_by: str


class Verdict(NamedTuple):
    """A target and the figure that was reached; None where the run did not measure it."""

    target: Target
    reached: float | None

    @property
    def is_met(self) -> bool:
        if self.reached is None:
            return False
        asked = self.target.asked
        return self.reached >= asked if self.target.at_least else self.reached <= asked


def judge(results: Results) -> Sequence[Verdict]:
    """Compare every target with the results of a run."""
    verdicts = []
    for target in TARGETS:
        try:
            reached: float | None = target.reached(results)
        except KeyError:
            reached = None
        verdicts.append(Verdict(target, reached))
    return verdicts


def rate(suite: str, one: str, other: str) -> Callable[[Results], float]:
    """Returns a function that divides one system's calls a second by another's."""
    return lambda results: results[suite][one]["calls_per_s"] / results[suite][other]["calls_per_s"]


def _cpu_above_noop(results: Results) -> float:
    reserve = results["reserve"]
    return max(
        reserve[f"sqlite {workload}"]["cpu_s_per_1000"] - reserve[f"noop {workload}"]["cpu_s_per_1000"]
        for workload in ("hot", "spread")
    )


def _alone(results: Results) -> float:
    one = results["one caller"]
    return one["sqlite"]["p50_ms"] / (one["noop"]["p50_ms"] + one["one commit of SQLite"]["p50_ms"])


def _many_rows(results: Results) -> float:
    suite = results["many rows"]
    if suite["many rows"]["rows"] < 1_000_000:
        raise KeyError("a quick run has fewer rows")
    return suite["many rows"]["calls_per_s"] / suite["1000 rows"]["calls_per_s"]


def _lines(results: Results) -> float:
    return results["lines"]["sqlite 1 line"]["calls_per_s"] / results["lines"]["sqlite 100 lines"]["calls_per_s"]


def _ceiling() -> list[Target]:
    return [
        Target(
            f"durable reservations on {name} / no-op calls of {layer}, {workload}",
            True,
            0.85,
            rate("reserve", f"{store} {workload}", f"{noop} {workload}"),
            "reserve",
        )
        for noop, layer in (("noop", "grpc.aio"), ("noop_bare", "the service's own layer"))
        for store, name in (("sqlite", "SQLite"), ("postgres", "Postgres"))
        for workload in ("hot", "spread")
    ] + [
        Target(
            f"durable reservations on {name} / no-op calls of grpc.aio, {workload}, 128 callers",
            True,
            0.85,
            rate("reserve, 128 callers", f"{store} {workload}", f"noop {workload}"),
            "reserve, 128 callers",
        )
        for store, name in (("sqlite", "SQLite"), ("postgres", "Postgres"))
        for workload in ("hot", "spread")
    ]


def _rivals() -> list[Target]:
    asked = [
        ("orm", "hot", "the ORM", 17.0),
        ("orm", "spread", "the ORM", 13.0),
        ("plpgsql", "hot", "the PL/pgSQL function", 3.5),
        ("plpgsql", "spread", "the PL/pgSQL function", 2.3),
        ("redis", "hot", "Redis as it comes", 2.0),
        ("redis", "spread", "Redis as it comes", 2.0),
        ("redis_coalesced", "hot", "Redis, coalesced", 1.4),
        ("redis_coalesced", "spread", "Redis, coalesced", 1.4),
    ]
    return [
        Target(
            f"SQLite / {text}, {workload}",
            True,
            least,
            rate("reserve", f"sqlite {workload}", f"{rival} {workload}"),
            "reserve",
        )
        for rival, workload, text, least in asked
    ]


TARGETS: Sequence[Target] = (
    *_ceiling(),
    *_rivals(),
    Target(
        "SQLite / the PL/pgSQL function, hot, 2 ms slower sync",
        True,
        25.0,
        rate("slow disk", "sqlite", "plpgsql"),
        "slow disk",
    ),
    Target(
        "SQLite, hot, with 2 ms slower syncs / without",
        True,
        0.9,
        rate("slow disk", "sqlite", "sqlite, usual sync"),
        "slow disk",
    ),
    Target(
        "CPU s per 1,000 reservations on SQLite above a no-op of grpc.aio",
        False,
        0.02,
        _cpu_above_noop,
        "reserve",
    ),
    Target("checks / no-op calls of grpc.aio", True, 0.9, rate("checks", "sqlite checks", "noop checks"), "checks"),
    Target("one caller: p50 / (p50 of a no-op of grpc.aio + one commit of SQLite)", False, 1.5, _alone, "one caller"),
    Target(
        "streamed reservations, 8 streams / unary no-op of grpc.aio",
        True,
        1.5,
        rate("streams", "sqlite, streamed", "noop, unary"),
        "streams",
    ),
    Target("1,000,000 rows / 1,000 rows", True, 0.85, _many_rows, "many rows"),
    Target("hot / spread", True, 0.95, rate("reserve", "sqlite hot", "sqlite spread"), "reserve"),
    Target("an order of 100 lines / of 1 line", False, 10.0, _lines, "lines"),
    Target(
        "growth of memory after the first tenth of a long run",
        False,
        0.05,
        lambda results: results["long run"]["sqlite"]["memory_growth"],
        "long run",
    ),
)
