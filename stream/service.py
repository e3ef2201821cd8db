"""A worker as it is deployed: settings become clients, checks, health port and loop."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from features.errors import DeliveryError, SettingsError
from monitoring.doors import StreamMetrics
from scoring.framing import unframed
from scoring.machine import spare_the_collector
from stream.answers import AnswerMessages, plain
from stream.breaker import Breaker
from stream.broker import GroupConsumer
from stream.client_settings import consumer_config, producer_config
from stream.cluster import Admin
from stream.delivery import AtLeastOnce, Delivery, ExactlyOnce, Patience
from stream.forgotten import OTHERS_S, Forgotten
from stream.health import HealthServer
from stream.instance import Slot
from stream.loop import Worker
from stream.marks import Written, claims_of_worker
from stream.pace import Pace
from stream.position import Positions
from stream.producer import RecordProducer
from stream.records import Cluster
from stream.routes import Routes
from stream.settings import DeliveryMode, MissingOffsets, StreamSettings
from stream.standstill import Standstill
from stream.start import check_sizes, check_topics
from stream.watchdog import Watchdog

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

    def stop(self) -> None:
        """Settle the batch in hand, leave the group and end, within 5 s in the worst case."""
        self.stopping = True
        self.watchdog.last_steps(STOP_S)

    def leave(self) -> None:
        """Let another member take over at once."""
        try:
            if self.consumer is not None:
                self.consumer.close()
        except DeliveryError as error:  # the group finds out by itself, after the session timeout
            log.warning("the group was not left: %s", error)

    def not_ready(self) -> str | None:
        """Return why the worker cannot work now, or None. The bundle was verified before anything else."""
        if self.stopping:
            return "stopping"
        return None if self.consumer is not None and self.consumer.assigned else "no partition assigned"


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
        worker = _worker(brokers, name, answer, bundle_id, control)
        spare_the_collector()
        worker.run(lambda: control.stopping, settings.stop_when_idle)
        log.info("ended after %s messages", worker.settled)


@contextmanager
def _named(settings: StreamSettings, bundle_id: str, control: Control) -> Iterator[str]:
    """Hold a name and serve health while the worker lives; then leave the group."""
    slot = Slot(f"{settings.group}/{settings.host}")
    name = f"{settings.group}-{settings.host}-{slot.number}"
    metrics, watchdog = control.metrics, control.watchdog
    metrics.limits(settings.max_reject_share, settings.deadline_seconds, watchdog.standing_s)
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
    routes = Routes(
        output=s.output,
        dead_letters=s.dead_letters,
        bundle_id=bundle_id,
        group=s.group,
        receipts=s.receipts,
        key=positions.key,
        body=unframed if s.framed_json else plain,
    )
    control.consumer = consumer = brokers.consumer(name, positions)
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
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Brokers:
    """What is known of the cluster that was checked, and the parts of a worker that talk to it."""

    settings: StreamSettings
    admin: Admin
    cluster: Cluster
    batch_bytes: int

    @classmethod
    def check(cls, settings: StreamSettings) -> "_Brokers":
        admin = Admin(settings.connection)
        topics = (settings.input, *settings.targets)
        cluster = admin.cluster(*topics)
        if cluster.embedded and settings.delivery is DeliveryMode.EXACTLY_ONCE:
            raise SettingsError(
                f"{settings.brokers} is the embedded broker, without transactions: exactly-once is not possible there. "
                "Use Apache Kafka, or --delivery at-least-once."
            )
        check_topics(cluster, *topics)
        size = _ANY_SIZE if cluster.embedded else check_sizes(admin, *topics)
        return cls(settings=settings, admin=admin, cluster=cluster, batch_bytes=size)

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
        return Positions(s.connection, written, ends, earliest=s.missing_offsets is MissingOffsets.EARLIEST)

    def consumer(self, name: str, positions: Positions) -> GroupConsumer:
        s = self.settings
        config = consumer_config(s, name, embedded=self.cluster.embedded)
        patience_s = s.retry_seconds + OTHERS_S
        standstill = Standstill(s.input, self.admin.ends, patience_s) if self.transactions else None
        return GroupConsumer(config, s.input, positions, patience_s, standstill)

    def delivery(self, name: str, consumer: GroupConsumer, positions: Positions) -> Delivery:
        s, patience = self.settings, Patience(self.settings.retry_seconds)
        if not self.transactions:
            config = producer_config(s.connection, self.batch_bytes)
            return AtLeastOnce(consumer, RecordProducer(config), patience, _FLUSH_S)
        config = producer_config(s.connection, self.batch_bytes, transactional_id=name)
        partitions = range(self.cluster.partitions[s.input])
        written = [(topic, p) for topic in s.targets for p in partitions]
        forgotten = Forgotten(written, self.admin.ends, lambda: consumer.settled(partitions))
        return ExactlyOnce(consumer, lambda: RecordProducer(config), patience, positions, forgotten)
