"""Series of a sound run, and for each alert the series of its fault, as unit tests of promtool.

https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

MINUTES: Final = 720
FAULT_AT: Final = "600m"
CALM_AT: Final = range(10, MINUTES, 10)
NAMESPACE: Final = 'namespace="search"'


def steady(rate: float, *, start: int = 0) -> str:
    """A counter that grows by ``rate`` a minute."""
    return f"{start}+{rate}x{MINUTES}"


def level(value: float) -> str:
    """A gauge that stays."""
    return f"{value}x{MINUTES}"


def blip(value: float, usual: float, *, minutes: int) -> str:
    """A gauge with another ``value`` for some minutes around the middle."""
    return f"{usual}x300 {value}x{minutes - 1} {usual}x{MINUTES - 301 - minutes}"


API: Final = f'winnow_http_request_seconds_count{{{NAMESPACE},door="api"'
PROBES: Final = f'winnow_http_request_seconds_count{{{NAMESPACE},door="operations",status="503"}}'
SEARCHES: Final = f'winnow_search_seconds_count{{{NAMESPACE},score_kind="relevance",degraded'
FRESH: Final = f"winnow_freshness_seconds_count{{{NAMESPACE}}}"
IN_TIME: Final = f'winnow_freshness_seconds_bucket{{{NAMESPACE},le="10.0"}}'
DOCUMENTS: Final = f"winnow_documents_total{{{NAMESPACE},outcome"
POOL: Final = f'winnow_pool_requests_total{{{NAMESPACE},pool="searches",outcome'
ONE: Final = f'{NAMESPACE},pod="winnow-0"'

SOUND: Final[Mapping[str, str]] = {
    f'winnow_build_info{{{ONE},version="1"}}': level(1),
    f'{API},status="200"}}': steady(60_000),
    f'{API},status="429"}}': steady(300),
    f'{API},status="404"}}': steady(900),
    f'{API},status="503"}}': steady(12),  # 0.02 %
    PROBES: steady(20),  # a pod that starts or drains
    f'{SEARCHES}="false"}}': steady(60_000),
    f'{SEARCHES}="true"}}': steady(120),  # 0.2 %
    IN_TIME: steady(1000),
    FRESH: steady(1004),  # 0.4 %
    f"winnow_backlog_oldest_seconds{{{ONE}}}": blip(900, 4, minutes=6),  # a bulk load
    f"winnow_worker_stalled_seconds{{{ONE}}}": level(20),
    f'{DOCUMENTS}="indexed"}}': steady(1000),
    f'{DOCUMENTS}="failed"}}': steady(10),
    f'winnow_provider_exhausted_total{{{ONE},role="embed"}}': level(0),
    f'winnow_breaker_open{{{ONE},stage="rerank",model="m"}}': blip(1, 0, minutes=3),  # a model that was restarted
    f'{POOL}="admitted"}}': steady(1000),
    f'{POOL}="shed"}}': steady(5),
    f"winnow_engine_restarts_total{{{ONE}}}": f"0x300 1x{MINUTES - 301}",
    f"winnow_disk_free_bytes{{{ONE}}}": level(40e9),
    f"winnow_disk_size_bytes{{{ONE}}}": level(100e9),
}

FAULTS: Final[Mapping[str, Mapping[str, str]]] = {
    "WinnowAvailabilityBurnsFast": {f'{API},status="503"}}': steady(600)},
    "WinnowAvailabilityBurnsMedium": {f'{API},status="500"}}': steady(220)},
    "WinnowAvailabilityBurnsSlow": {f'{API},status="504"}}': steady(30)},
    "WinnowDegradedBurnsFast": {f'{SEARCHES}="true"}}': steady(6000)},
    "WinnowDegradedBurnsMedium": {f'{SEARCHES}="true"}}': steady(2400)},
    "WinnowDegradedBurnsSlow": {f'{SEARCHES}="true"}}': steady(420)},
    "WinnowFreshnessBurnsFast": {IN_TIME: steady(800)},
    "WinnowFreshnessBurnsMedium": {IN_TIME: steady(930)},
    "WinnowFreshnessBurnsSlow": {IN_TIME: steady(985)},
    "WinnowAbsent": {f'winnow_build_info{{{ONE},version="1"}}': f"1x580 _x{MINUTES - 581}"},
    "WinnowBacklogOld": {f"winnow_backlog_oldest_seconds{{{ONE}}}": f"0x500 0+60x{MINUTES - 501}"},
    "WinnowWorkerStalled": {f"winnow_worker_stalled_seconds{{{ONE}}}": f"0x590 0+60x{MINUTES - 591}"},
    "WinnowDocumentsFail": {f'{DOCUMENTS}="failed"}}': steady(80)},
    "WinnowProviderExhausted": {f'winnow_provider_exhausted_total{{{ONE},role="embed"}}': f"0x595 1x{MINUTES - 596}"},
    "WinnowBreakerOpen": {f'winnow_breaker_open{{{ONE},stage="rerank",model="m"}}': f"0x590 1x{MINUTES - 591}"},
    "WinnowSheds": {f'{POOL}="shed"}}': steady(100)},
    "WinnowEngineRestarts": {f"winnow_engine_restarts_total{{{ONE}}}": f"0x590 1x2 2x2 3x{MINUTES - 596}"},
    "WinnowDiskFull": {f"winnow_disk_free_bytes{{{ONE}}}": level(8e9)},
}


def cases(rules: str) -> dict[str, Any]:
    """The file for ``promtool test rules``: the sound run, then each fault on top of it."""
    sound = [('count(ALERTS{alertstate="firing"})', f"{minute}m", 0) for minute in CALM_AT]
    tests = [_case("a sound run", SOUND, sound)]
    for name, fault in FAULTS.items():
        firing = f'count(count by (alertname) (ALERTS{{alertname="{name}",alertstate="firing"}}))'
        tests.append(_case(name, {**SOUND, **fault}, [(firing, FAULT_AT, 1)]))
    return {"rule_files": [rules], "evaluation_interval": "1m", "tests": tests}


def alert_at(rules: str, name: str, site: str, runbooks: str) -> dict[str, Any]:
    """The file for promtool in which the alert fires and its runbook lies below ``site``, empty for a bare path."""
    rule = next(
        rule
        for group in yaml.safe_load(Path(rules).read_text())["groups"]
        for rule in group["rules"]
        if rule.get("alert") == name
    )
    address = f"{site}/{runbooks}" if site else runbooks
    annotations = {**rule["annotations"], "runbook_url": f"{address}#{name.lower()}"}
    case = _case(name, {**SOUND, **FAULTS[name]}, [])
    case["external_labels"] = {"winnow_docs": site} if site else {}
    case["alert_rule_test"] = [
        {
            "alertname": name,
            "eval_time": FAULT_AT,
            "exp_alerts": [{"exp_labels": rule["labels"], "exp_annotations": annotations}],
        }
    ]
    return {"rule_files": [rules], "evaluation_interval": "1m", "tests": [case]}


def _case(name: str, series: Mapping[str, str], checks: list[tuple[str, str, int]]) -> dict[str, Any]:
    return {
        "name": name,
        "interval": "1m",
        "input_series": [{"series": each, "values": values} for each, values in series.items()],
        "promql_expr_test": [
            {"expr": expression, "eval_time": time, "exp_samples": [{"labels": "{}", "value": count}] if count else []}
            for expression, time, count in checks
        ],
    }
