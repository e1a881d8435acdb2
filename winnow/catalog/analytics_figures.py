"""What is counted over searches and events of visitors, in SQL."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnCollection,
    ColumnElement,
    Integer,
    Select,
    and_,
    case,
    func,
    literal,
    select,
    true,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from winnow.catalog.analytics_tables import ANALYTICS_EVENTS, ANALYTICS_SEARCHES
from winnow.core.search import Speed
from winnow.ports import (
    AnalyticsScope,
    AnalyticsSummary,
    AnalyticsTotals,
    DayFigures,
    QueryFigures,
    SpeedFigures,
)

_S: Final = ANALYTICS_SEARCHES.c
_E: Final = ANALYTICS_EVENTS.c
_COUNTED: Final = (_S.replaced_by.is_(None), _S.first == 1)
_SPEEDS: Final[tuple[Speed, ...]] = ("instant", "full")


def within(columns: ColumnCollection[str, Any], scope: AnalyticsScope) -> list[ColumnElement[bool]]:
    """The conditions that a row of either table is in a scope."""
    tenant = [] if scope.tenant is None else [columns.tenant == scope.tenant]
    return [columns.collection_uid == scope.collection_uid, columns.at >= scope.since, *tenant]


async def summary(connection: AsyncConnection, scope: AnalyticsScope, limit: int) -> AnalyticsSummary:
    """Everything that is counted over a scope."""
    positions = select(_E.position, func.count()).where(
        *within(_E, scope), _E.type == "click", _E.position.is_not(None)
    )
    rows = await connection.execute(positions.group_by(_E.position).order_by(_E.position))
    queries = await _queries(connection, scope, limit)
    return AnalyticsSummary(
        await _totals(connection, scope),
        await _days(connection, scope),
        queries["top"],
        queries["nothing_found"],
        queries["nothing_clicked"],
        [(row[0], row[1]) for row in rows],
        [each for speed in _SPEEDS if (each := await _speed(connection, scope, speed)) is not None],
    )


async def suggested(
    connection: AsyncConnection, scope: AnalyticsScope, audience: str, sessions: int, limit: int
) -> Sequence[QueryFigures]:
    """Queries that found something for an audience, in some sessions at least."""
    found = _by_query(scope).where(_S.count > 0, _S.audience == audience)
    number = _sessions()
    rows = await connection.execute(found.having(number >= sessions).order_by(number.desc(), _S.folded).limit(limit))
    return [QueryFigures(row.query, row.searches, row.without_results, row.sessions, 0, 0, None) for row in rows]


async def _totals(connection: AsyncConnection, scope: AnalyticsScope) -> AnalyticsTotals:
    counts = select(func.count(), _number(_S.count == 0), _number(_S.degraded), _sessions())
    row = (await connection.execute(counts.where(*within(_S, scope), *_COUNTED))).one()
    searches, without_results, degraded, sessions = row
    kinds = select(_E.type, func.count()).where(*within(_E, scope)).group_by(_E.type)
    events = {row[0]: row[1] for row in await connection.execute(kinds)}
    counted = func.coalesce(_S.replaced_by, _S.id)
    clicked = select(func.count(counted.distinct())).join(ANALYTICS_EVENTS, _E.search_id == _S.id)
    clicked = clicked.where(*within(_S, scope), _S.first == 1, _E.type == "click")
    return AnalyticsTotals(
        searches,
        without_results or 0,
        await connection.scalar(clicked) or 0,
        degraded or 0,
        sessions,
        events.get("click", 0),
        events.get("conversion", 0),
    )


async def _days(connection: AsyncConnection, scope: AnalyticsScope) -> list[DayFigures]:
    """The days on which anything happened."""
    searches = select(_S.day, func.count(), _number(_S.count == 0)).where(*within(_S, scope), *_COUNTED)
    events = select(_E.day, _number(_E.type == "click"), _number(_E.type == "conversion")).where(*within(_E, scope))
    searched = {day: rest for day, *rest in await connection.execute(searches.group_by(_S.day))}
    happened = {day: rest for day, *rest in await connection.execute(events.group_by(_E.day))}
    days = sorted({*searched, *happened})
    return [DayFigures(day, *searched.get(day, (0, 0)), *happened.get(day, (0, 0))) for day in days]


async def _queries(connection: AsyncConnection, scope: AnalyticsScope, limit: int) -> dict[str, list[QueryFigures]]:
    """The lists of queries, by name; all are read from one table of figures, which is made once."""
    searched, clicked = _by_query(scope).subquery("searched"), _clicked(scope).subquery("clicked")
    counts = [func.coalesce(clicked.c[name], 0).label(name) for name in ("clicks", "conversions")]
    joined = select(searched, *counts, clicked.c.position).outerjoin(clicked, clicked.c.folded == searched.c.folded)
    each = joined.cte("figures").c
    found: dict[str, list[QueryFigures]] = {"top": [], "nothing_found": [], "nothing_clicked": []}
    wanted = {
        "nothing_found": each.without_results > 0,
        "nothing_clicked": and_(each.clicks == 0, each.searches > each.without_results),
    }
    parts = []
    for name in found:
        first = each.without_results if name == "nothing_found" else each.searches
        place = func.row_number().over(order_by=(first.desc(), each.searches.desc(), each.folded)).label("place")
        part = select(literal(name).label("list"), place, *each).where(wanted.get(name, true()))
        parts.append(select(part.order_by("place").limit(limit).subquery(name)))
    for row in await connection.execute(union_all(*parts).order_by("list", "place")):
        found[row[0]].append(QueryFigures._make((*row[3:9], None if row[9] is None else float(row[9]))))
    return found


def _by_query(scope: AnalyticsScope) -> Select[Any]:
    """Searches that count, by folded query; a search without words is not one for a query."""
    figures = select(
        _S.folded,
        func.max(_S.query).label("query"),
        func.count().label("searches"),
        _number(_S.count == 0).label("without_results"),
        _sessions().label("sessions"),
    )
    return figures.where(*within(_S, scope), *_COUNTED, _S.folded != "").group_by(_S.folded)


def _clicked(scope: AnalyticsScope) -> Select[Any]:
    """Events by the folded query of the search that counts."""
    counted = ANALYTICS_SEARCHES.alias("counted")
    click = _E.type == "click"
    figures = select(
        counted.c.folded,
        _number(click).label("clicks"),
        _number(_E.type == "conversion").label("conversions"),
        func.avg(case((click, _E.position))).label("position"),
    )
    figures = figures.select_from(ANALYTICS_EVENTS).join(ANALYTICS_SEARCHES, _S.id == _E.search_id)
    figures = figures.join(counted, counted.c.id == func.coalesce(_S.replaced_by, _S.id))
    return figures.where(*within(_E, scope)).group_by(counted.c.folded)


async def _speed(connection: AsyncConnection, scope: AnalyticsScope, speed: Speed) -> SpeedFigures | None:
    """Percentiles by nearest rank; of searches that were replaced as well, as long as they are kept."""
    of_speed = (*within(_S, scope), _S.speed == speed)
    number = await connection.scalar(select(func.count()).where(*of_speed)) or 0
    if not number:
        return None
    sorted_ = select(_S.took_ms).where(*of_speed).order_by(_S.took_ms)
    ranks = [math.ceil(share * number) - 1 for share in (0.5, 0.95)]
    p50, p95 = [await connection.scalar(sorted_.offset(rank).limit(1)) or 0.0 for rank in ranks]
    return SpeedFigures(speed, number, p50, p95)


def _number(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0)).cast(Integer)


def _sessions() -> ColumnElement[int]:
    return func.count(func.nullif(_S.session, "").distinct())
