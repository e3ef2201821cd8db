"""One worker: loads the bundle, which re-scores its golden rows, and serves on a socket that it is given."""

import json
import socket
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from api.documents import Documents
from api.gate import Gate
from api.openapi import Contract
from api.service import Scoring, Service
from api.settings import Framework, Receipts, Settings
from api.watch import Watch
from monitoring.live import NO_REFERENCE, Live, RestMetrics, shared_folder
from receipts.log import OUTBOX
from receipts.outbox import Maker, Outbox
from receipts.pii import Pseudonymiser, read_key
from registry import open_trusted
from scoring.doors import REST
from scoring.health import NOT_COMPARED
from scoring.machine import spare_the_collector
from scoring.message import MessageScorer, application_schema, decision_json_schema, example_application
from scoring.scorer import Scorer
from serving.json_log import JsonLog, redirect_library_logs
from serving.keys import KeyFile
from serving.recorder import Recorder

if TYPE_CHECKING:
    from history import Histories

_SWITCH_SECONDS = 0.0005  # the event loop waits at most this long for the scoring thread's Python


def run_worker(settings: Settings, listener: socket.socket, log: JsonLog, on_ready: Callable[[], None]) -> None:
    """Serve until SIGTERM; nothing listens before the golden rows agree.

    Raises:
        BundleError: the bundle does not verify, or a golden row comes out differently.
        SettingsError: the file of keys cannot be read.

    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    service = make_service(settings, log)
    spare_the_collector()
    redirect_library_logs(log)
    if settings.framework is Framework.FASTAPI:
        from api.wire.uvicorn_server import run_fastapi as run  # noqa: PLC0415 - one framework is enough to serve
    else:
        from api.wire.waitress_server import run_flask as run  # noqa: PLC0415 - one framework is enough to serve
    run(service, listener, on_ready)
    service.finish()
    log.write("stopped")


def make_service(settings: Settings, log: JsonLog) -> Service:
    """Load the bundle and put the door together.

    Raises:
        BundleError: the bundle does not verify, or a golden row comes out differently.
        SettingsError: the file of keys cannot be read.
        DeliveryError: receipts cannot be written.

    """
    scorer = open_trusted(settings.bundle, settings.trust, datetime.now(UTC))
    live = Live(
        scorer.bundle,
        settings.drift_window,
        shared_folder(),
        lambda text: log.write("input_degraded", reason=text),
    )
    if not live.drift:
        log.write("no_drift_metrics", reason=NO_REFERENCE)
    elif not live.compared:
        log.write("inputs_not_compared", reason=NOT_COMPARED)
    watch = Watch(log, RestMetrics(live))
    histories = _histories(settings, scorer, log)
    messages = MessageScorer(scorer, watch.metrics.observe, histories)
    documents = Documents(
        scorer, make_contract(MessageScorer(scorer), history=histories is not None), settings, watch.metrics.text
    )
    gate = Gate(open_keys(settings), settings.rate_limit, time.monotonic)
    behind = None if histories is None else histories.behind
    scoring = Scoring(messages.answer, _recorder(settings, scorer, watch), behind)
    return Service(scoring, documents, gate, settings, watch)


def _histories(settings: Settings, scorer: Scorer, log: JsonLog) -> "Histories | None":
    """Open the history store of this process, if one is configured."""
    if not settings.history or not scorer.bundle.spec.groups:
        return None
    from history import Histories, Limits, open_store  # noqa: PLC0415 - needs the extra `history`

    store = open_store(settings.history)
    if not store.state().heartbeat:
        log.write("history_static", reason="nothing consumes the topic of events into this store")
    limits = Limits(max_age_s=settings.history_max_age, wait_s=settings.history_wait_ms / 1000)
    return Histories(store, scorer.bundle.spec, limits)


def _recorder(settings: Settings, scorer: Scorer, watch: Watch) -> Recorder | None:
    if settings.log is None:
        return None
    Pseudonymiser(scorer.bundle.spec, read_key(settings.pii_key) if settings.pii_key else None)  # there is the key
    made_by = Maker(scorer.bundle.bundle_id, scorer.bundle.spec.text)
    outbox = Outbox(settings.log / OUTBOX, made_by, durable=settings.receipts is Receipts.DURABLE)
    return Recorder(REST.name, outbox, settings.seal_seconds, time.time, watch)


def make_contract(messages: MessageScorer, *, history: bool = False) -> Contract:
    """Describe the messages of the bundle; the example's answer is computed, and warms the scorer up."""
    bundle = messages.scorer.bundle
    spec, medians = bundle.spec, bundle.explainer.book.medians
    example = example_application(spec, medians)
    (answer,) = messages.answer([json.dumps(example).encode()])
    return Contract(
        name=spec.name,
        bundle_id=bundle.bundle_id,
        application=application_schema(spec, medians, history=history),
        decision=decision_json_schema(spec),
        example=example,
        example_decision=json.loads(answer.decision or b"{}"),
    )


def open_keys(settings: Settings) -> KeyFile | None:
    """Open the file of keys, which must be readable before anything starts.

    Raises:
        SettingsError: it cannot be read.

    """
    if settings.no_auth:
        return None
    keys = KeyFile(Path(settings.keys))
    keys.entries()
    return keys
