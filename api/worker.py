"""One worker: loads the bundle, which re-scores its golden rows, and serves on a socket that it is given.

When the link to the bundle leads to another one, that is loaded and verified beside it, and then serves instead.
"""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from api.documents import Documents
from api.gate import Gate
from api.openapi import Contract
from api.service import Scoring, Service
from api.settings import Framework, Receipts, Settings
from api.watch import Watch
from monitoring.live import NO_REFERENCE, Live, RestMetrics, shared_folder
from receipts.frame import SHADOW
from receipts.log import OUTBOX
from receipts.outbox import Maker, Outbox
from receipts.pii import Pseudonymiser, read_key
from registry import open_trusted
from scoring.doors import REST
from scoring.health import NOT_COMPARED
from scoring.machine import spare_the_collector
from scoring.message import (
    MessageScorer,
    application_schema,
    check_same_contract,
    decision_json_schema,
    example_application,
)
from scoring.scorer import Scorer
from serving.bundle_watch import BundleWatch, Watches
from serving.challengers import Challenger, Followed, Keep, LiveChallengers
from serving.fair_queue import Answered, Deciding
from serving.json_log import JsonLog, redirect_library_logs
from serving.keys import KeyFile
from serving.recorder import Recorder

if TYPE_CHECKING:
    from history import DoorHistories

_SERVED = "served-bundle"  # a file of the shared folder
_SWITCH_SECONDS = 0.0005  # the event loop waits at most this long for the scoring thread's Python


def run_worker(settings: Settings, listener: socket.socket, log: JsonLog, on_ready: Callable[[], None]) -> None:
    """Serve until SIGTERM; nothing listens before the golden rows agree. SIGHUP: look where the link leads now.

    Raises:
        BundleError: the bundle does not verify, or a golden row comes out differently.
        SettingsError: the file of keys cannot be read.

    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to look with
    sys.setswitchinterval(_SWITCH_SECONDS)
    service, bundles = make_service(settings, log)
    spare_the_collector()
    redirect_library_logs(log)
    if settings.framework is Framework.FASTAPI:
        from api.wire.uvicorn_server import run_fastapi as run  # noqa: PLC0415 - one framework is enough to serve
    else:
        from api.wire.waitress_server import run_flask as run  # noqa: PLC0415 - one framework is enough to serve
    bundles.start()
    signal.signal(signal.SIGHUP, lambda *_: bundles.look_now())
    run(service, listener, on_ready)
    bundles.stop()
    service.finish()
    log.write("stopped")


def make_service(settings: Settings, log: JsonLog) -> tuple[Service, Watches]:
    """Load the bundle and put the door together, with what follows the links to bundles, which is not started yet.

    Raises:
        BundleError: the bundle does not verify, or a golden row comes out differently.
        SettingsError: the file of keys cannot be read.
        DeliveryError: receipts cannot be written.

    """
    scorer = open_trusted(_served(settings), settings.trust, datetime.now(UTC))
    live = _live(settings, scorer, log)
    watch = Watch(log, RestMetrics(live))
    recorder = _recorder(settings, scorer, watch)
    gate = Gate(open_keys(settings), settings.rate_limit, time.monotonic)
    beside = _challengers(settings, scorer, watch)
    in_service = _InService(settings, watch, recorder, beside)
    service = Service(in_service.scoring(scorer, live), recorder, gate, settings, watch)
    if in_service.challengers is not None:
        service.at_end = in_service.challengers.close
    follow = partial(in_service.change, service)
    return service, Watches(BundleWatch(settings.bundle, scorer.bundle.path, follow, watch), *beside.watches)


class _InService:
    """Makes of each bundle what the door serves."""

    def __init__(self, settings: Settings, watch: Watch, recorder: Recorder | None, beside: Followed) -> None:
        self._settings, self._watch, self._recorder, self._beside = settings, watch, recorder, beside
        self.challengers = (
            LiveChallengers(beside, settings.challenger_share, watch.metrics, watch.log) if beside.watches else None
        )
        self._histories = _histories(settings, watch)

    def change(self, service: Service, folder: Path) -> None:
        """Load and verify a bundle beside the one in service, then go over to it.

        Raises:
            BundleError: it does not verify, or its contract is another one.
            SettingsError: keys lack, or the history store was made for another spec.

        """
        scorer = open_trusted(folder, self._settings.trust, datetime.now(UTC))
        check_same_contract(self._beside.champion.bundle.spec, scorer.bundle.spec)
        _check_pii_key(self._settings, scorer)
        live = _live(self._settings, scorer, self._watch.log)
        scoring = self.scoring(scorer, live)
        self._watch.metrics.change(live)
        service.change(scoring)
        self._beside.champion = scorer
        note_served(scorer.bundle.path)
        self._watch.bundle_changed(scorer.bundle.bundle_id)

    def scoring(self, scorer: Scorer, live: Live) -> Scoring:
        settings, metrics = self._settings, self._watch.metrics
        histories = None if self._histories is None else self._histories.of(scorer.bundle.spec)
        answer = metrics.counting(MessageScorer(scorer, live.note, histories).answer, live)
        keep = self._keep(scorer)
        contract = make_contract(MessageScorer(scorer), history=histories is not None)
        documents = Documents(scorer, contract, settings, metrics.text)
        return Scoring(Deciding(answer, keep), documents, None if histories is None else histories.behind)

    def _keep(self, scorer: Scorer) -> Keep | None:
        """Return what keeps the receipts of a bundle's decisions, then offers those decisions to challengers."""
        recorder, challengers = self._recorder, self.challengers
        keep = None if recorder is None else partial(recorder.keep, made_by=_maker(scorer))
        if challengers is None:
            return keep

        def keep_and_offer(answered: Sequence[Answered]) -> None:
            if keep is not None:
                keep(answered)
            challengers.offer(answered, scorer)

        return keep_and_offer


class _Aside:
    """The watch over a challenger's receipts: they are none of the door's, and count under the challenger."""

    def __init__(self, log: JsonLog) -> None:
        self.log, self.metrics = log, self

    def receipts(self, count: int) -> None:
        pass

    def outbox(self, *, sealed: int, waiting: int, failing: bool) -> None:
        pass


def _challengers(settings: Settings, champion: Scorer, watch: Watch) -> Followed:
    """Open the challengers beside the champion."""

    def made(scorer: Scorer) -> Challenger:
        if settings.log is None:
            return Challenger(scorer)
        _check_pii_key(settings, scorer)
        outbox = Outbox(settings.log / OUTBOX, _maker(scorer), durable=False, door=SHADOW)
        recorder = Recorder(REST.name, outbox, settings.seal_seconds, time.time, _Aside(watch.log))
        return Challenger(scorer, recorder.keep, recorder.close)

    def opened(folder: Path) -> Scorer:
        return open_trusted(folder, settings.trust, datetime.now(UTC))

    return Followed(settings.challenger, champion, opened, made, watch.log)


def _maker(scorer: Scorer) -> Maker:
    return Maker(scorer.bundle.bundle_id, scorer.bundle.spec.text)


def _histories(settings: Settings, watch: Watch) -> "DoorHistories | None":
    """Prepare to ask the history store, if one is configured."""
    if not settings.history:
        return None
    from history import DoorHistories, Limits  # noqa: PLC0415 - needs the extra `history`

    limits = Limits(max_age_s=settings.history_max_age, wait_s=settings.history_wait_ms / 1000)
    nobody = "nothing consumes the topic of events into this store"
    found = DoorHistories(
        settings.history, limits, watch.metrics.looked_up, lambda _: watch.log.write("history_static", reason=nobody)
    )
    watch.metrics.history(found.lag)
    return found


def _live(settings: Settings, scorer: Scorer, log: JsonLog) -> Live:
    """Watch what a bundle decides, and say what cannot be watched."""
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
    return live


def _recorder(settings: Settings, scorer: Scorer, watch: Watch) -> Recorder | None:
    if settings.log is None:
        return None
    _check_pii_key(settings, scorer)
    outbox = Outbox(settings.log / OUTBOX, _maker(scorer), durable=settings.receipts is Receipts.DURABLE)
    return Recorder(REST.name, outbox, settings.seal_seconds, time.time, watch)


def _check_pii_key(settings: Settings, scorer: Scorer) -> None:
    if settings.log is not None:
        Pseudonymiser(scorer.bundle.spec, read_key(settings.pii_key) if settings.pii_key else None)


def note_served(bundle: Path) -> None:
    """Note for workers that start later which bundle this door serves, where several share a folder."""
    folder = shared_folder()
    if folder is not None:
        part = folder / f"{_SERVED}-{os.getpid()}"
        part.write_text(str(bundle), "utf-8")
        part.replace(folder / _SERVED)


def _served(settings: Settings) -> Path:
    """Return the bundle to start with: what the door's other workers serve, so that the link is followed by all alike.

    Where that is gone, or there are no others, it is what the link leads to.
    """
    folder = shared_folder()
    noted = None if folder is None else folder / _SERVED
    served = Path(noted.read_text("utf-8")) if noted is not None and noted.exists() else settings.bundle
    return served if served.exists() else settings.bundle


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
