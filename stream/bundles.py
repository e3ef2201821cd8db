"""What a worker makes of each bundle that its link leads to: what it decides with, after a change as at the start."""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from monitoring.live import NO_REFERENCE, Live, StreamMetrics
from scoring.health import NOT_COMPARED
from scoring.message import MessageScorer, check_same_contract
from scoring.scorer import Scorer
from serving.bundle_watch import BundleWatch, Watches
from serving.challengers import Challenger, Followed, WithinBatch
from stream.answers import InService
from stream.history.histories import FromStore
from stream.service import Control
from stream.settings.settings import StreamSettings

if TYPE_CHECKING:
    from history import DoorHistories

__all__ = ["Bundles"]

log = logging.getLogger(__name__)


class Bundles:
    """Opens bundles for one worker, first the one that the link leads to now: `first`, in service from here on.

    `watches` follow the links to it and to challengers, once they are started.
    """

    def __init__(self, settings: StreamSettings, control: Control, open_bundle: Callable[[Path], Scorer]) -> None:
        """Open the first. `open_bundle` verifies a bundle, and refuses what no trusted key signed.

        Raises:
            BundleError: it does not verify.
            SettingsError: the history store was made for another spec.

        """
        self._settings, self._control, self._open = settings, control, open_bundle
        self._histories = _histories(settings, control)
        scorer = open_bundle(settings.bundle)
        self._beside = Followed(settings.challenger, scorer, open_bundle, Challenger, _Log())
        wait_s = settings.challenger_wait_ms / 1000
        self._within = (
            WithinBatch(self._beside, settings.challenger_share, wait_s, _Log()) if settings.challenger else None
        )
        self.first = self._in_service(scorer)
        link = BundleWatch(settings.bundle, scorer.bundle.path, self._change, self)
        self.watches = Watches(link, *self._beside.watches)
        control.metrics = StreamMetrics(self.first.live)
        if self._histories is not None:
            control.metrics.history(self._histories.lag)
        control.history, control.behind = self.first.history, self.first.behind
        control.challenge = self.first.challenge

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
        check_same_contract(self._beside.champion.bundle.spec, scorer.bundle.spec)
        self._control.change(self._in_service(scorer))
        self._beside.champion = scorer

    def _in_service(self, scorer: Scorer) -> InService:
        live = Live(scorer.bundle, self._settings.drift_window, say=log.warning)
        if not live.drift:
            log.warning(NO_REFERENCE)
        elif not live.compared:
            log.warning(NOT_COMPARED)
        bundle_id = scorer.bundle.bundle_id
        histories = None if self._histories is None else self._histories.of(scorer.bundle.spec)
        messages = MessageScorer(scorer, live.note, histories)
        challenge = None if self._within is None else partial(self._within.decide, champion=scorer)
        if histories is None:
            return InService(bundle_id, messages.answer, live, challenge=challenge)
        from_store = FromStore(messages, self._settings.retry_seconds, lambda: self._control.stopping)
        return InService(bundle_id, from_store.answer, live, from_store, histories.behind, challenge)


class _Log:
    """What is said of challengers, as lines of the worker's log."""

    def write(self, event: str, **fields: object) -> None:
        """See `serving.challengers.beside.Says`."""
        level = logging.INFO if event == "challenger_opened" else logging.WARNING
        log.log(level, "%s: %s", event.replace("_", " "), ": ".join(map(str, fields.values())))


def _histories(settings: StreamSettings, control: Control) -> "DoorHistories | None":
    """Prepare to ask the history store, if one is configured."""
    if not settings.history:
        return None
    from history import MOST_EVENTS, MOST_IN_RECEIPT, DoorHistories, Limits  # noqa: PLC0415 - needs the extra `history`

    most = MOST_IN_RECEIPT if settings.receipts else MOST_EVENTS
    limits = Limits(settings.history_max_age, settings.history_wait_ms / 1000, most)

    def count(customers: int, unknown: int) -> None:
        control.metrics.looked_up(customers, unknown)  # those of then: they are made with the first bundle

    def nobody_fills(store: str) -> None:
        log.warning("nothing consumes the topic of events into %s", store)

    return DoorHistories(settings.history, limits, count, nobody_fills)
