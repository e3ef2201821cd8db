"""A worker as it is deployed: settings become clients, checks, health port and loop."""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from features.errors import DeliveryError, SettingsError
from monitoring.live import StreamMetrics
from scoring.machine import spare_the_collector
from scoring.message import unframed
from serving.breaker import Breaker
from serving.health_port import HealthServer
from serving.watchdog import LEAVE_S, Watchdog
from stream.answers import AnswerMessages, Challenge, InService, plain
from stream.client.cluster import Admin
from stream.client.errors import ProtocolRefusedError
from stream.client.patience import Patience, Times
from stream.client.producer import RecordProducer
from stream.client.records import Cluster
from stream.history.histories import Before, Redecided
from stream.instance import Slot
from stream.loop import SCORE, WRITE, Worker
from stream.pace import Pace
from stream.position.broker import GroupConsumer
from stream.position.delivery import AtLeastOnce, Delivery, ExactlyOnce
from stream.position.earlier import Earlier
from stream.position.forgotten import Forgotten
from stream.position.marks import Written, claims_of_worker
from stream.position.position import Positions
from stream.position.standstill import Standstill
from stream.position.targets import Targets
from stream.routes import Routes
from stream.settings.client_settings import consumer_config, link_config, producer_config
from stream.settings.settings import DeliveryMode, GroupProtocol, MissingOffsets, StreamSettings
from stream.start import check_sizes, check_topics
from stream.unassigned import Unassigned

__all__ = ["Control", "run_worker"]

log = logging.getLogger(__name__)

STOP_S = 4.5  # from being asked to stop to the end, in the worst case
_FLUSH_S = 30.0
_ANY_SIZE = 1 << 30


@dataclass(slots=True)
class Control:
    """How the outside ends a worker, and sees whether it can work."""

    watchdog: Watchdog
    metrics: StreamMetrics = field(default_factory=StreamMetrics)
    stopping: bool = False
    consumer: GroupConsumer | None = field(default=None, repr=False)
    history: Before | None = None
    behind: Callable[[], bool] | None = None
    challenge: Challenge | None = field(default=None, repr=False)
    left: bool = False
    _next: deque[InService] = field(default_factory=lambda: deque(maxlen=1), repr=False)

    def stop(self) -> None:
        """Settle the batch in hand, leave the group and end, within 5 s in the worst case."""
        self.stopping = True
        self.watchdog.last_steps(STOP_S - LEAVE_S)

    def change(self, bundle: InService) -> None:
        """Have the next batch decided by another bundle; another thread may call this."""
        self._next.append(bundle)

    def another(self) -> InService | None:
        """Return the bundle to go over to, once."""
        try:
            bundle = self._next.popleft()  # in one step: one that arrives meanwhile is not lost
        except IndexError:
            return None
        self.history, self.behind = bundle.history, bundle.behind
        return bundle

    def leave(self) -> None:
        """Let another member take over at once."""
        before, self.left = self.left, True
        try:
            if self.consumer is not None and not before:
                self.consumer.close()
        except DeliveryError as error:  # the group finds out by itself, after the session timeout
            log.warning("the group was not left: %s", error)

    def not_ready(self) -> str | None:
        """Return why the worker cannot work now, or None. The bundle was verified before anything else."""
        if self.stopping:
            return "stopping"
        if self.behind is not None and self.behind():
            return "history_behind"
        if self.consumer is None or self.consumer.assigned:
            return "starting" if self.consumer is None else None
        waits = "; ".join(f"partition {p} waits: {why}" for p, why in sorted(self.consumer.why.items()))
        return waits or "no partition assigned"


def run_worker(settings: StreamSettings, answer: AnswerMessages, bundle_id: str, control: Control) -> None:
    """Check the deployment, then work until asked to stop. The watchdog of `control` is started here.

    Raises:
        SettingsError: topics, sizes or the kind of broker do not fit.
        DeliveryError: the brokers cannot be reached, read or written, or an offset is gone.
        CircuitOpenError: see `stream.loop`.

    """
    control.watchdog.start()
    brokers = _Brokers.check(settings)
    with _named(settings, bundle_id, control) as name:
        try:
            _work(brokers, name, answer, bundle_id, control)
        except ProtocolRefusedError as error:
            if settings.group_protocol is not GroupProtocol.AUTO:
                raise
            log.warning("group protocol: classic, since the brokers have switched the other one off: %s", error)
        else:
            return
        _work(brokers.with_protocol(GroupProtocol.CLASSIC), name, answer, bundle_id, control)


def _work(brokers: "_Brokers", name: str, answer: AnswerMessages, bundle_id: str, control: Control) -> None:
    worker = _worker(brokers, name, answer, bundle_id, control)
    spare_the_collector()
    worker.run(lambda: control.stopping, brokers.settings.stop_when_idle)
    log.info("ended after %s messages", worker.settled)


@contextmanager
def _named(settings: StreamSettings, bundle_id: str, control: Control) -> Iterator[str]:
    """Hold a name and serve health while the worker lives; then leave the group."""
    slot = Slot(f"{settings.group}/{settings.host}")
    name = f"{settings.group}-{settings.host}-{slot.number}"
    metrics, watchdog = control.metrics, control.watchdog
    metrics.limits(settings.max_reject_share, settings.deadline_s, watchdog.standing_s)
    port = settings.health_port + slot.number if settings.health_port else 0
    health = HealthServer(settings.health_host, port, metrics.text, control.not_ready)
    log.info("worker %s: %s, bundle %s, health at http://%s", name, settings.delivery, bundle_id, health.address)
    try:
        yield name
    finally:
        watchdog.alive("leave the group")
        control.leave()
        watchdog.stop()
        health.close()
        slot.release()


def _worker(brokers: "_Brokers", name: str, answer: AnswerMessages, bundle_id: str, control: Control) -> Worker:
    s, positions = brokers.settings, brokers.positions()
    earlier = positions.earlier
    routes = Routes(
        output=s.output,
        dead_letters=s.dead_letters,
        bundle_id=bundle_id,
        group=s.group,
        receipts=s.receipts,
        key=positions.key,
        body=unframed if s.framed_json else plain,
        carried=frozenset(s.carry_headers),
    )
    control.consumer = consumer = brokers.consumer(name, positions)
    control.watchdog.leave_first(control.leave, (SCORE, WRITE))
    consumer.false_claims = positions.false_claims
    positions.false_claims.count = control.metrics.false_claim
    return Worker(
        consumer=consumer,
        delivery=brokers.delivery(name, consumer, positions),
        answer=answer,
        routes=routes,
        breaker=Breaker(window=s.reject_window, max_share=s.max_reject_share, accept=s.accept_rejects),
        pace=Pace(s.max_messages, s.max_seconds),
        watchdog=control.watchdog,
        metrics=control.metrics,
        clock=time.monotonic,
        now=time.time,
        unassigned=Unassigned(s.input, s.group),
        redecided=Redecided(control.history, earlier.receipts) if control.history and earlier else None,
        another=control.another,
        challenge=control.challenge,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Brokers:
    """What is known of the cluster that was checked, and the parts of a worker that talk to it."""

    settings: StreamSettings
    admin: Admin
    cluster: Cluster
    batch_bytes: int
    targets: Targets

    @classmethod
    def check(cls, settings: StreamSettings) -> "_Brokers":
        admin = Admin({**link_config(settings.times), **settings.connection})
        topics = (settings.input, *settings.targets)
        cluster = admin.cluster(*topics)
        if cluster.embedded and settings.delivery is DeliveryMode.EXACTLY_ONCE:
            raise SettingsError(
                f"{settings.brokers} is the embedded broker, without transactions: exactly-once is not possible there. "
                "Use Apache Kafka, or --delivery at-least-once."
            )
        check_topics(cluster, *topics, growing=True)
        size = _ANY_SIZE if cluster.embedded else check_sizes(admin, *topics)
        targets = Targets(settings.input, settings.targets, admin.partitions)
        made = cls(settings=settings, admin=admin, cluster=cluster, batch_bytes=size, targets=targets)
        return made.with_protocol(_protocol(settings, admin, cluster))

    def with_protocol(self, protocol: GroupProtocol) -> "_Brokers":
        return replace(self, settings=self.settings.model_copy(update={"group_protocol": protocol}))

    @property
    def transactions(self) -> bool:
        return self.settings.delivery is DeliveryMode.EXACTLY_ONCE

    def positions(self) -> Positions:
        s = self.settings
        ends = self.admin.ends if self.transactions else None
        topics = (s.output, s.dead_letters)
        written = Written(
            topics=topics,
            claim=claims_of_worker(s.input, s.group),
            receipts=s.receipts,
            lasting=self.transactions and not any(map(self.admin.compacted, topics)),
        )
        earliest = s.missing_offsets is MissingOffsets.EARLIEST
        config = {**link_config(s.times), **s.connection}
        positions = Positions(config, written, ends, earliest=earliest)
        positions.grow_with(self.targets)
        if s.history:
            positions.earlier = Earlier(config, written)
        return positions

    def consumer(self, name: str, positions: Positions) -> GroupConsumer:
        s = self.settings
        config = consumer_config(s, name, embedded=self.cluster.embedded)
        patience_s = s.retry_seconds + self._others_s
        standstill = Standstill(s.input, self.admin.ends, patience_s) if self.transactions else None
        return GroupConsumer(config, s.input, positions, patience_s, standstill)

    @property
    def _others_s(self) -> float:
        """How long a transaction may last that another worker of the group left open: all have the same settings."""
        config = producer_config(self.settings.connection, transactional_id="any", times=self.settings.times)
        return Times.others_s(int(config["transaction.timeout.ms"]))

    def delivery(self, name: str, consumer: GroupConsumer, positions: Positions) -> Delivery:
        s, patience = self.settings, Patience(self.settings.retry_seconds)
        if not self.transactions:
            config = producer_config(s.connection, self.batch_bytes, times=s.times)
            return AtLeastOnce(consumer, RecordProducer(config), patience, _FLUSH_S)
        config = producer_config(s.connection, self.batch_bytes, transactional_id=name, times=s.times)
        forgotten = Forgotten(
            lambda: self.targets.all,
            self.admin.ends,
            lambda some: consumer.settled(self.targets.partitions if some is None else some),
            others_s=self._others_s,
        )
        return ExactlyOnce(consumer, lambda: RecordProducer(config), patience, positions, forgotten)


def _protocol(settings: StreamSettings, admin: Admin, cluster: Cluster) -> GroupProtocol:
    """Return the group protocol to use, and say which."""
    protocol, asked = settings.group_protocol, settings.group_protocol is GroupProtocol.AUTO
    if asked:
        new = cluster.embedded or admin.consumer_protocol()
        protocol = GroupProtocol.CONSUMER if new else GroupProtocol.CLASSIC
    log.info("group protocol: %s (%s)", protocol, "the brokers were asked" if asked else "as set")
    return protocol
