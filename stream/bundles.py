"""What a worker makes of each bundle that its link leads to: what it decides with, after a change as at the start."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from monitoring.live import NO_REFERENCE, Live, StreamMetrics
from scoring.health import NOT_COMPARED
from scoring.message import MessageScorer, check_same_contract
from scoring.scorer import Scorer
from serving.bundle_watch import BundleWatch
from stream.answers import InService
from stream.history.histories import FromStore
from stream.service import Control
from stream.settings.settings import StreamSettings

if TYPE_CHECKING:
    from history import Histories, HistoryStore

__all__ = ["Bundles"]

log = logging.getLogger(__name__)


class Bundles:
    """Opens bundles for one worker; `open_bundle` verifies them, and refuses what no trusted key signed."""

    def __init__(self, settings: StreamSettings, control: Control, open_bundle: Callable[[Path], Scorer]) -> None:
        """Nothing is opened yet."""
        self._settings, self._control, self._open = settings, control, open_bundle
        self._store: HistoryStore | None = None
        self._asked: Histories | None = None
        self._scorer: Scorer | None = None

    def begin(self) -> InService:
        """Open the bundle that the link leads to now.

        Raises:
            BundleError: it does not verify.
            SettingsError: the history store was made for another spec.

        """
        scorer = self._scorer = self._open(self._settings.bundle)
        first = self._in_service(scorer)
        control = self._control
        control.metrics = StreamMetrics(first.live)
        control.metrics.history(lambda: None if self._asked is None else self._asked.lag())
        control.history, control.behind = first.history, first.behind
        return first

    def watch(self) -> BundleWatch:
        """Follow the link from the bundle that `begin` opened on."""
        assert self._scorer is not None  # noqa: S101 - `begin` comes first
        return BundleWatch(self._settings.bundle, self._scorer.bundle.path, self._change, self)

    def bundle_refused(self, why: str) -> None:
        """See `serving.bundle_watch.Told`."""
        self._control.metrics.bundle_refused(refused=True)
        log.error("bundle refused: %s", why)

    def bundle_agreed(self) -> None:
        """See `serving.bundle_watch.Told`."""
        self._control.metrics.bundle_refused(refused=False)
        log.info("the link leads again to the bundle that is served")

    def _change(self, folder: Path) -> None:
        scorer = self._open(folder)
        if self._scorer is not None:
            check_same_contract(self._scorer.bundle.spec, scorer.bundle.spec)
        self._control.change(self._in_service(scorer))
        self._scorer = scorer

    def _in_service(self, scorer: Scorer) -> InService:
        live = Live(scorer.bundle, self._settings.drift_window, say=log.warning)
        if not live.drift:
            log.warning(NO_REFERENCE)
        elif not live.compared:
            log.warning(NOT_COMPARED)
        bundle_id, histories = scorer.bundle.bundle_id, self._histories(scorer)
        messages = MessageScorer(scorer, live.note, histories)
        if histories is None:
            return InService(bundle_id, messages.answer, live)
        from_store = FromStore(messages, self._settings.retry_seconds, lambda: self._control.stopping)
        return InService(bundle_id, from_store.answer, live, from_store, histories.behind)

    def _histories(self, scorer: Scorer) -> "Histories | None":
        """Ask the history store, which is opened once, if one is configured."""
        settings, spec = self._settings, scorer.bundle.spec
        if not settings.history or not spec.groups:
            return None
        from history import MOST_EVENTS, MOST_IN_RECEIPT, Histories, Limits, open_store  # noqa: PLC0415 - an extra

        if self._store is None:
            self._store = open_store(settings.history)
            if not self._store.state().heartbeat:
                log.warning("nothing consumes the topic of events into %s", self._store.where)
        most = MOST_IN_RECEIPT if settings.receipts else MOST_EVENTS
        limits = Limits(settings.history_max_age, settings.history_wait_ms / 1000, most)
        self._asked = Histories(self._store, spec, limits, count=self._looked_up)
        return self._asked

    def _looked_up(self, customers: int, unknown: int) -> None:
        self._control.metrics.looked_up(customers, unknown)
