"""What a PromQL expression names and returns, by a parser that is not ours; and the tables of alerts."""

from collections.abc import Iterator
from typing import Any

import promql_parser as promql

from monitoring.live.metric_names import HISTORY, LIVE, REST, STREAM, Kind

TARGET = {"job", "instance"}  # what Prometheus adds
OTHERS = {  # of Prometheus itself, and of the client library about the process
    "up": TARGET,
    "ALERTS": {*TARGET, "alertname", "alertstate", "severity"},
    "process_start_time_seconds": TARGET,
    "process_resident_memory_bytes": TARGET,
    "process_cpu_seconds_total": TARGET,
}


def known_series() -> dict[str, set[str]]:
    """Return the labels of each series by name; a histogram is three series."""
    known = dict(OTHERS)
    for metric in (*LIVE, *HISTORY, *STREAM, *REST):
        labels = {*TARGET, *metric.labels}
        if metric.kind is Kind.HISTOGRAM:
            known |= {f"{metric.name}_{part}": labels for part in ("sum", "count")}
            known[f"{metric.name}_bucket"] = {*labels, "le"}
        else:
            known[metric.name] = labels
    return known


SERIES = known_series()
ALL = set[str]().union(*SERIES.values())
LOST = {"absent": ALL, "scalar": ALL, "vector": ALL, "histogram_quantile": {"le"}}  # by functions


def names(expression: str) -> set[str]:
    """Return the names of the series that an expression reads."""
    found: set[str] = set()

    def visit(node: promql.Expr) -> None:
        if isinstance(node, promql.VectorSelector):
            found.add(node.name or "")

    promql.walk(promql.parse(expression), visit)
    return found


def labels(expression: str) -> set[str]:
    """Return the labels of the result. Series and labels that do not exist fail."""
    return _labels(promql.parse(expression))


def _labels(node: Any) -> set[str]:
    match node:
        case promql.VectorSelector():
            found = _of_series(node)
        case promql.MatrixSelector():
            found = _of_series(node.vector_selector)
        case promql.AggregateExpr():
            found = _of_aggregation(node)
        case promql.BinaryExpr():
            left, right = _labels(node.lhs), _labels(node.rhs)
            found = left or right
        case promql.Call():
            inside = set[str]().union(*[_labels(argument) for argument in node.args])
            found = inside - LOST.get(node.func.name, set())
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            found = _labels(node.expr)
        case _:
            assert isinstance(node, promql.NumberLiteral | promql.StringLiteral), type(node)
            found = set()
    return found


def _of_series(node: promql.VectorSelector) -> set[str]:
    assert node.name in SERIES, f"no series is called {node.name}"
    unknown = {matcher.name for matcher in node.matchers.matchers} - SERIES[node.name]
    assert not unknown, f"{node.name} has no label {unknown}"
    return SERIES[node.name]


def _of_aggregation(node: promql.AggregateExpr) -> set[str]:
    inside = _labels(node.expr)
    if node.modifier is None:
        return inside if str(node.op) in ("topk", "bottomk") else set()
    named = set(node.modifier.labels)
    assert named <= inside, f"what is aggregated has no label {named - inside}"
    return named if node.modifier.type == promql.AggModifierType.By else inside - named


def alerts(rules: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the rules of all groups."""
    for group in rules["groups"]:
        yield from group["rules"]


def alerts_table(group: dict[str, Any]) -> str:
    """Return a group of rules as a Markdown table: how bad, when, and what to do."""
    rows = [
        f"| {rule['alert']} | {rule['labels']['severity']} | `{rule['expr']}` | {rule.get('for', 'at once')} | "
        f"{rule['annotations']['action']} |"
        for rule in group["rules"]
    ]
    return (
        "\n".join(["| alert | severity | when | for | what to do |", "| --- | --- | --- | --- | --- |", *rows]) + "\n"
    )
