"""Requests about the levels of rows become commands and queries, and their answers become messages."""

from collections.abc import Iterable
from typing import cast, get_args

from stockkeeper_client.v1 import stock_pb2

from actors.queries import FindStock, ListStock
from actors.records import StockKey
from actors.stock_alerts import AlertLevel, StockStatus
from actors.views import StockPage, StockView
from actors.warehouse_commands import LevelsLine, SetLevels
from actors.warehouse_outcomes import LevelsSet
from rpc.messages.field_checks import bounded as _bounded
from rpc.messages.field_checks import change as _change
from rpc.messages.field_checks import check_id as _check_id
from rpc.messages.field_checks import check_optional_id as _check_optional_id
from rpc.messages.field_checks import page_size as _page_size
from rpc.messages.field_checks import raise_if_any as _raise_if_any
from rpc.messages.page_texts import page_text
from rpc.messages.page_tokens import TOKEN_RULE, read_stock_token, stock_token
from rpc.messages.responses import stock_info
from rpc.messages.rules import FIGURE_RULE, Violation

LEVELS = ("min_stock", "max_stock", "reorder_point")
STATUSES: tuple[StockStatus, ...] = get_args(StockStatus)  # in the order of the wire's numbers, which begin with 1
ALERTS: tuple[AlertLevel, ...] = get_args(AlertLevel)


def set_stock_levels(request: stock_pb2.SetStockLevelsRequest) -> SetLevels:
    """Raises `Invalid`, as all of `rpc.messages.validation` do."""
    faults: list[Violation] = []
    change = _change(faults, request, _check_id)
    lines: dict[tuple[str, str], LevelsLine] = {}
    for position, line in enumerate(_bounded(faults, request.levels, "levels")):
        place = f"levels[{position}]"
        _check_id(faults, f"{place}.variant_id", line.variant_id)
        _check_id(faults, f"{place}.warehouse_id", line.warehouse_id)
        if (line.variant_id, line.warehouse_id) in lines:
            faults.append(Violation(place, "must be of another row than those before it"))
        lines[line.variant_id, line.warehouse_id] = _levels_line(faults, place, line)
    _raise_if_any(faults)
    return SetLevels(request.organization_id, tuple(lines.values()), *change)


def _levels_line(faults: list[Violation], place: str, line: stock_pb2.StockLevels) -> LevelsLine:
    given = [getattr(line, level) if line.HasField(level) else None for level in LEVELS]
    faults += [
        Violation(f"{place}.{level}", FIGURE_RULE)
        for level, figure in zip(LEVELS, given, strict=True)
        if figure is not None and figure < 0
    ]
    if given == [None, None, None]:
        faults.append(Violation(place, "must have a level"))
    least, most, _ = given
    if least is not None and most and least > most:
        faults.append(Violation(f"{place}.min_stock", "must be at most max_stock"))
    return LevelsLine(line.variant_id, line.warehouse_id, *given)


def list_stock(request: stock_pb2.ListStockRequest) -> ListStock | FindStock:
    """Raises `Invalid`."""
    faults: list[Violation] = []
    _check_id(faults, "organization_id", request.organization_id)
    _check_optional_id(faults, "variant_id", request.variant_id)
    _check_optional_id(faults, "warehouse_id", request.warehouse_id)
    _check_optional_id(faults, "variant_prefix", request.variant_prefix)
    status = _named(faults, "status", request.status, STATUSES)
    alert_level = _named(faults, "alert_level", request.alert_level, ALERTS)
    limit = _page_size(faults, request.page_size)
    after: StockKey | None = None
    if request.page_token:
        try:
            after = read_stock_token(request.page_token, request.organization_id)
        except ValueError:
            faults.append(Violation("page_token", TOKEN_RULE))
    _raise_if_any(faults)
    names = request.variant_id, request.warehouse_id
    if status or alert_level:
        return FindStock(
            request.organization_id,
            cast(StockStatus | None, status),
            cast(AlertLevel | None, alert_level),
            *names,
            request.variant_prefix,
            after,
            limit,
        )
    return ListStock(request.organization_id, *names, after, limit, request.variant_prefix)


def _named(faults: list[Violation], field: str, number: int, names: tuple[str, ...]) -> str | None:
    """What a number of an enum stands for; None for the one that says nothing."""
    if not 0 <= number <= len(names):
        faults.append(Violation(field, f"must be 0 to {len(names)}"))
        return None
    return names[number - 1] if number else None


def levels_set(fact: LevelsSet) -> stock_pb2.SetStockLevelsResponse:
    return stock_pb2.SetStockLevelsResponse(
        message="Levels set", rows=stock_info(fact.rows), levels=levels_of(fact.rows)
    )


def stock_page(page: StockPage) -> stock_pb2.ListStockResponse:
    token = stock_token(page.next_key)
    return stock_pb2.ListStockResponse(
        stock_info=stock_info(page.stock),
        next_page_token=token,
        levels=levels_of(page.stock),
        message=page_text(len(page.stock), "row", token),
    )


def levels_of(views: Iterable[StockView]) -> list[stock_pb2.StockLevels]:
    return [
        stock_pb2.StockLevels(
            variant_id=record.variant_id,
            warehouse_id=record.warehouse_id,
            min_stock=record.min_stock,
            max_stock=record.max_stock,
            reorder_point=record.reorder_point,
        )
        for view in views
        for record in (view.record,)
    ]
