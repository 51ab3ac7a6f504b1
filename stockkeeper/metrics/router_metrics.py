"""What a router does: its links, what it asks again, and the map that it goes by."""

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric

from stockkeeper.metrics.metric_families import counter, gauge, gauges
from stockkeeper.metrics.router_figures import RouterFigures


def router_metrics(found: RouterFigures) -> Iterable[Metric]:
    yield gauge("stockkeeper_router_map_version", "Of the map of the cells that it goes by.", found.map_version)
    yield gauges(
        "stockkeeper_router_link_up",
        "Whether the owner of the cell is connected and serves: 1 or 0.",
        ["cell"],
        [((one.name,), float(one.is_served)) for one in found.cells],
    )
    yield gauges(
        "stockkeeper_router_link_requests",
        "Requests that wait for the owner of the cell.",
        ["cell"],
        [((one.name,), one.under_way) for one in found.cells],
    )
    yield gauge("stockkeeper_router_requests_waiting", "Requests that are asked again.", found.waiting)
    yield counter("stockkeeper_router_retries", "Times that a request was asked again.", found.asked_again)
    yield counter(
        "stockkeeper_router_wrong_cell",
        "Answers of a cell that it does not hold the organization.",
        found.wrong_cell,
    )
    yield counter("stockkeeper_router_looks", "Looks at all cells for an organization.", found.looks)
    yield counter("stockkeeper_router_claims", "Organizations that a cell has taken by its word.", found.claims)
    yield counter(
        "stockkeeper_router_map_reloads_failed",
        "Files of the map that could not be used; the last good one stays.",
        found.reloads_failed,
    )
