"""A worker as it is deployed: settings become clients, checks, health port and loop."""

import logging
import time
from dataclasses import dataclass, field

from features.errors import DeliveryError, SettingsError
from monitoring.doors import StreamMetrics
from stream.breaker import Breaker
from stream.broker import GroupConsumer, RecordProducer
from stream.client_settings import consumer_config, producer_config
from stream.cluster import Admin
from stream.delivery import AtLeastOnce, Delivery, ExactlyOnce, Patience
from stream.health import HealthServer
from stream.instance import Slot
from stream.loop import AnswerMessages, Routes, Worker
from stream.pace import Pace
from stream.settings import DeliveryMode, MissingOffsets, StreamSettings
from stream.start import FirstOffsets, check_sizes, check_topics
from stream.watchdog import Watchdog

log = logging.getLogger(__name__)

STOP_S = 4.5  # from being asked to stop to the end, in the worst case
_FLUSH_S = 30.0
_ANY_SIZE = 1 << 30


@dataclass(slots=True)
class Control:
    """How the outside ends a worker, and sees whether it can work."""

    watchdog: Watchdog
    stopping: bool = False
    consumer: GroupConsumer | None = field(default=None, repr=False)

    def stop(self) -> None:
        """Settle the batch in hand, leave the group and end, within 5 s in the worst case."""
        self.stopping = True
        self.watchdog.last_steps(STOP_S)

    def not_ready(self) -> str | None:
        """Return why the worker cannot work now, or None. The bundle was verified before anything else."""
        if self.stopping:
            return "stopping"
        return None if self.consumer is not None and self.consumer.assigned else "no partition assigned"


def run_worker(
    settings: StreamSettings, answer: AnswerMessages, bundle_id: str, control: Control, metrics: StreamMetrics
) -> None:
    """Check the deployment, then work until asked to stop. The watchdog of `control` is started here.

    Raises:
        SettingsError: topics, sizes or the kind of broker do not fit.
        DeliveryError: the brokers cannot be reached, read or written, or an offset is gone.
        CircuitOpenError: see `stream.loop`.

    """
    control.watchdog.start()
    embedded, batch_bytes = _check(settings)
    slot = Slot(f"{settings.group}/{settings.host}")
    name = f"{settings.group}-{settings.host}-{slot.number}"
    metrics.limits(settings.max_reject_share, settings.deadline_seconds, control.watchdog.standing_s)
    port = settings.health_port + slot.number if settings.health_port else 0
    health = HealthServer(settings.health_host, port, metrics.text, control.not_ready)
    log.info("worker %s: %s, bundle %s, health at http://%s", name, settings.delivery, bundle_id, health.address)
    starts = FirstOffsets(
        settings.connection,
        (settings.output, settings.dead_letters),
        earliest=settings.missing_offsets is MissingOffsets.EARLIEST,
    )
    consumer = GroupConsumer(consumer_config(settings, name, embedded=embedded), settings.input, starts)
    control.consumer = consumer
    try:
        worker = Worker(
            consumer=consumer,
            delivery=_delivery(settings, consumer, name, batch_bytes),
            answer=answer,
            routes=Routes(output=settings.output, dead_letters=settings.dead_letters, bundle_id=bundle_id),
            breaker=Breaker(
                window=settings.reject_window, max_share=settings.max_reject_share, accept=settings.accept_rejects
            ),
            pace=Pace(settings.max_messages, settings.max_seconds),
            watchdog=control.watchdog,
            metrics=metrics,
            clock=time.monotonic,
        )
        worker.run(lambda: control.stopping, settings.stop_when_idle)
        log.info("ended after %s messages", worker.settled)
    finally:
        control.watchdog.alive("leave the group")
        try:
            consumer.close()
        except DeliveryError as error:  # the group finds out by itself, after the session timeout
            log.warning("the group was not left: %s", error)
        control.watchdog.stop()
        health.close()
        slot.release()


def _check(settings: StreamSettings) -> tuple[bool, int]:
    admin = Admin(settings.connection)
    topics = (settings.input, settings.output, settings.dead_letters)
    try:
        cluster = admin.cluster(*topics)
    except DeliveryError as error:
        raise DeliveryError(f"{settings.brokers}: {error} Check the address, and TLS and SASL settings.") from error
    if cluster.embedded and settings.delivery is DeliveryMode.EXACTLY_ONCE:
        raise SettingsError(
            f"{settings.brokers} is the embedded broker, without transactions: exactly-once is not possible there. "
            "Use Apache Kafka, or --delivery at-least-once."
        )
    check_topics(cluster, *topics)
    return cluster.embedded, _ANY_SIZE if cluster.embedded else check_sizes(admin, *topics)


def _delivery(settings: StreamSettings, consumer: GroupConsumer, name: str, batch_bytes: int) -> Delivery:
    patience = Patience(settings.retry_seconds)
    if settings.delivery is DeliveryMode.AT_LEAST_ONCE:
        config = producer_config(settings.connection, batch_bytes)
        return AtLeastOnce(consumer, RecordProducer(config), patience, _FLUSH_S)
    config = producer_config(settings.connection, batch_bytes, transactional_id=name)
    return ExactlyOnce(consumer, lambda: RecordProducer(config), patience)
