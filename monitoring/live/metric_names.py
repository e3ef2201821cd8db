"""Every metric of the product in one list, from which come the registries and the tables in docs/monitoring.md.

What both doors measure alike has one name; Prometheus' label `job` says which door it is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from scoring.doors import REST as REST_DOOR
from scoring.doors import Door


class Kind(StrEnum):
    """Kinds of metrics, as Prometheus names them."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric. `buckets`: upper bounds of a histogram."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


def _counter(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(name=name, kind=Kind.COUNTER, meaning=meaning, labels=labels)


def _gauge(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(name=name, kind=Kind.GAUGE, meaning=meaning, labels=labels)


def _histogram(name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Metric:
    return Metric(name=name, kind=Kind.HISTOGRAM, meaning=meaning, labels=labels, buckets=buckets)


_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_MESSAGES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
_ROUND = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_POINTS = tuple(range(350, 851, 50))

DIRT = _counter(
    "credit_dirty_cells_total",
    "Cells that became missing and events of ignored kinds, by cause, in applications that were decided.",
    *("table", "column", "cause"),
)
DECIDED = _counter("credit_bundle_decisions_total", "Decisions, by the bundle that made them.", "bundle_id")
CHANGES = _counter("credit_bundle_changes_total", "Changes of a running worker to another bundle.")
REFUSED = _gauge(
    "credit_bundle_refused",
    "Living workers whose link to a bundle leads to what they refuse to serve, so that they go on with the one before.",
)
CHALLENGED = _counter(
    "credit_challenger_applications_total",
    "Applications of challengers, by what became of them: decided (as the champion), changed (another class), refused, "
    "dropped (no room, or no time left), failed.",
    *("bundle_id", "outcome"),
)
BUNDLES = (DECIDED, CHANGES, REFUSED, CHALLENGED)
DEATHS = _counter("credit_rest_worker_deaths_total", "Workers that died by themselves and were replaced.")
LIVE = (
    _gauge("credit_bundle_info", "1 for the bundle in service.", "bundle_id"),
    _histogram(
        "credit_score_points",
        "Credit scores of the decisions, in points.",
        _POINTS,
    ),
    *BUNDLES,
    DIRT,
    _gauge("credit_window_decisions", "Decisions in the sliding window, from which the shares and PSI below come."),
    _gauge("credit_feature_missing_share", "Share of the window's decisions without a value.", "feature"),
    _gauge("credit_feature_missing_reference", "The same share among the applications of training.", "feature"),
    _gauge("credit_window_matched_share", "Share of the window's decisions that have a usable event."),
    _gauge("credit_matched_share_reference", "The same share among the applications of training."),
    _gauge(
        "credit_input_degraded",
        "1: a column has far fewer usable cells than at training, or `events` fewer matches; 2: next to none is left.",
        "input",
    ),
    _gauge("credit_feature_psi", "Population stability index of a feature, window against training.", "feature"),
    _gauge("credit_score_psi", "Population stability index of the credit score, window against training."),
    _gauge("credit_class_psi", "Population stability index of the mix of credit classes, window against training."),
)

HISTORY_COUNTS = (
    _counter("credit_history_customers_total", "Customers who were looked up in the history store for a decision."),
    _counter(
        "credit_history_unknown_customers_total",
        "Those of them of whom the store knows no event: they are decided as customers who did nothing.",
    ),
)
HISTORY_LAG = (
    _gauge(
        "credit_history_lag_messages",
        "Events that the topic held when the store's consumer last looked, and the store did not.",
    ),
    _gauge(
        "credit_history_lag_seconds",
        "Seconds since the store last held all that the topic held; +Inf: it cannot be read. The door refuses above "
        "its history_max_age.",
    ),
)
HISTORY = (*HISTORY_COUNTS, *HISTORY_LAG)

STREAM = (
    _counter("credit_stream_messages_total", "Messages settled: each became a decision or a dead letter."),
    _counter("credit_stream_decisions_total", "Decisions written and committed, by credit class.", "credit_class"),
    _counter("credit_stream_receipts_total", "Receipts written and committed together with their decisions."),
    _counter("credit_stream_dead_letters_total", "Messages refused and sent to the dead letters, by code.", "code"),
    _histogram("credit_stream_batch_messages", "Messages settled in one transaction.", _MESSAGES),
    _histogram("credit_stream_score_seconds", "Seconds to decode and score one batch.", _SECONDS),
    _histogram("credit_stream_transaction_seconds", "Seconds to write one batch and commit it.", _SECONDS),
    _counter("credit_stream_transaction_aborts_total", "Batches that were not committed and are read again."),
    _counter(
        "credit_stream_false_claims_total",
        "Records that claim to settle a message and do not prove it: somebody else writes to this worker's topics.",
    ),
    _gauge(
        "credit_stream_consumer_lag",
        "Offsets between the next message to read and the end of the partition.",
        "partition",
    ),
    _gauge(
        "credit_stream_held_partitions",
        "Partitions of this worker that cannot be read on, since a batch there cannot be unpacked; the log says where.",
    ),
    _gauge(
        "credit_stream_waiting_partitions",
        "Partitions of this worker that cannot begin yet, as where a topic that is written to has no such partition "
        "or a transaction is open; the log and /readyz say why.",
    ),
    _gauge("credit_stream_assigned_partitions", "Partitions that this worker reads now."),
    _gauge(
        "credit_stream_unassigned_seconds",
        "Seconds since the group last gave a partition to this worker; 0 while it has one. The log says likely causes.",
    ),
    _gauge(
        "credit_stream_refused_share", "Share of refused messages among the last ones, as the circuit breaker sees it."
    ),
    _gauge("credit_stream_refused_share_limit", "The share above which the circuit breaker stops the worker."),
    _gauge("credit_stream_step_seconds", "Seconds that the present step of the loop has taken so far."),
    _gauge("credit_stream_step_limit_seconds", "The seconds after which the watchdog ends the process."),
)


def served(door: Door) -> tuple[Metric, ...]:
    """Return what each door counts that answers whoever asks, in rounds, and keeps its receipts in an outbox."""
    name = door.metric
    return (
        _counter(name("decisions_total"), "Decisions sent, by credit class.", "credit_class"),
        _counter(name(door.refusals), "Applications that could not be scored, by code.", "code"),
        _histogram(name("round_applications"), "Applications scored together.", _ROUND),
        _counter(name("receipts_total"), "Receipts written to the outbox."),
        _counter(name("receipts_sealed_total"), "Receipts that left the outbox for the decision log."),
        _gauge(name("receipts_unsealed"), "Receipts of the living workers in the outbox."),
        _gauge(name("receipts_unwritable"), "Living workers that refuse requests because receipts cannot be written."),
    )


REST_WORKER = (
    _counter(
        "credit_rest_requests_total",
        "Requests answered, by address and status; 499: the client went away.",
        *("path", "status"),
    ),
    _counter("credit_rest_problems_total", "Requests answered with a problem, by code.", "code"),
    _histogram(
        "credit_rest_request_seconds",
        "Seconds from the head of a request to its answer, by address.",
        _REQUEST_SECONDS,
        "path",
    ),
    *served(REST_DOOR),
)
REST = (*REST_WORKER, DEATHS)


def metrics_table(metrics: Iterable[Metric]) -> str:
    """Return the metrics as a Markdown table."""
    rows = [f"| `{m.name}` | {m.kind} | {', '.join(m.labels)} | {m.meaning} |" for m in metrics]
    return "\n".join(["| metric | kind | labels | meaning |", "| --- | --- | --- | --- |", *rows]) + "\n"
