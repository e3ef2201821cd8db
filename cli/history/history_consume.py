"""`credit history consume`: from the topic of events to the history store."""

import logging
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from cli.console import say
from cli.doors.settings import takes_settings
from cli.history.history_options import StoreOption, customer_option, instant_option
from cli.options import Encoding, Separator, csv_dialect
from features.errors import SettingsError
from stream.settings.settings import ConnectionSettings

EXAMPLE = "Example: credit history consume --store demo/history --brokers 127.0.0.1:9092"
VERIFY = "Example: credit history verify --store demo/history --brokers 127.0.0.1:9092"
PUBLISH = "Example: credit history publish demo/tonight/events.csv --brokers 127.0.0.1:9092"
ERASE = "Example: credit history erase --customer-id C-1 --brokers 127.0.0.1:9092"
VOID = "Example: credit history void --customer-id C-1 --partition 3 --offset 1234 --brokers 127.0.0.1:9092"


@takes_settings
def consume(
    settings: ConnectionSettings,
    *,
    store: StoreOption,
    topic: Annotated[str, typer.Option("--topic", help="Topic of events.")] = "credit.events",
    control: Annotated[
        str, typer.Option("--control", help="Topic of erasures and voids, of one partition; empty: none.")
    ] = "credit.events-control",
    dead_letters: Annotated[
        str, typer.Option("--dead-letters", help="Topic for what cannot be used.")
    ] = "credit.events-dead-letters",
    stop_when_idle: Annotated[
        float | None,
        typer.Option("--stop-when-idle", min=0, help="End when nothing has come for so long.", show_default=False),
    ] = None,
    accept_rejects: Annotated[
        int, typer.Option("--accept-rejects", min=0, help="Let so many more unusable events pass the circuit breaker.")
    ] = 0,
    complete_since: Annotated[
        str | None,
        typer.Option("--complete-since", help="From when on the topic holds all events.", show_default=False),
    ] = None,
) -> None:
    """Fill the history store from the topic of events, each event once, until SIGTERM."""
    from history import open_store
    from serving.breaker import Breaker
    from stream.client.cluster import Admin
    from stream.client.topic_reader import TopicReader
    from stream.history import Aside, Fill, Sources, begin

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    stopping: list[bool] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.append(True))
    opened, group = open_store(store), f"credit-history-{topic}"
    reader = TopicReader(settings.connection, topic, group)
    admin = Admin(settings.connection)
    since = None if complete_since is None else instant_option(complete_since)
    sources = Sources(
        events=reader,
        control=TopicReader(settings.connection, control, group) if control else None,
        aside=Aside(settings.connection, dead_letters, group),
        begin=begin(opened, admin, reader, since),
        breaker=Breaker(accept=accept_rejects),
    )
    if sources.control is not None and sources.control.partitions != 1 and not admin.cluster().embedded:
        raise SettingsError(f"{control}: has {sources.control.partitions} partitions, expected 1: its order counts.")
    if not admin.cluster(dead_letters).partitions.get(dead_letters):
        raise SettingsError(f"--dead-letters {dead_letters}: no such topic. Create it.")
    fill = Fill(opened, sources)
    fill.run(lambda: bool(stopping), stop_when_idle)
    reader.close()
    opened.close()
    say(f"{fill.written:,} events were read from {topic}")


@takes_settings
def verify(
    settings: ConnectionSettings,
    *,
    store: StoreOption,
    topic: Annotated[str, typer.Option("--topic", help="Topic of events.")] = "credit.events",
    control: Annotated[
        str, typer.Option("--control", help="Topic of erasures and voids; empty: none.")
    ] = "credit.events-control",
    dead_letters: Annotated[
        str, typer.Option("--dead-letters", hidden=True, help="Taken as `consume` takes it; nothing is written there.")
    ] = "",
) -> None:
    """Read the topic of events again and compare each customer with the store; exit code 7 if anything differs."""
    from history import create_store, open_store
    from stream.client.topic_reader import TopicReader
    from stream.history import verify as compare

    del dead_letters  # so that the options of `consume` can be given as they are
    opened = open_store(store)
    reader = TopicReader(settings.connection, topic, f"credit-history-{topic}")
    with tempfile.TemporaryDirectory(prefix="credit-history-") as folder:
        again = create_store(folder, opened.settings.spec)
        found = compare(opened, again, settings.connection, reader, control)
        again.close()
    reader.close()
    opened.close()
    say(f"{found.read:,} events of {topic} read again, {found.customers:,} customers compared")
    say(f"{found.lost:,} lost, {found.doubled:,} doubled")
    if found.lost or found.doubled:
        raise typer.Exit(7)


@takes_settings
def publish(
    settings: ConnectionSettings,
    *,
    events: Annotated[Path, typer.Argument(help="CSV or Parquet file of events, or a folder.", show_default=False)],
    topic: Annotated[str, typer.Option("--topic", help="Topic of events.")] = "credit.events",
    resume: Annotated[
        bool, typer.Option("--resume", help="Leave out what an interrupted publish of the same file sent already.")
    ] = False,
    per_second: Annotated[
        float | None, typer.Option("--per-second", min=0.001, help="No faster than this.", show_default=False)
    ] = None,
    separator: Separator = None,
    encoding: Encoding = None,
) -> None:
    """Send account events of a file to the topic of events, keyed by customer: for trying, or for a nightly feed."""
    from scoring.message import encode_events
    from storage.tables import read_table
    from stream.publish import Publishing
    from stream.publish import publish as send

    table = read_table(events, "events", dialect=csv_dialect(separator, encoding))
    done = send(settings, topic, encode_events(table), Publishing(per_second=per_second, resume=resume))
    before = f"; {done.before:,} had arrived before" if resume else ""
    say(f"{done.sent:,} event{'' if done.sent == 1 else 's'} published to {topic}{before}")


@takes_settings
def erase(
    settings: ConnectionSettings,
    *,
    customer_id: Annotated[str, typer.Option("--customer-id", help="Whose events.", show_default=False)],
    topic: Annotated[str, typer.Option("--topic", help="Topic of events.")] = "credit.events",
    control: Annotated[str, typer.Option("--control", help="Topic of erasures and voids.")] = "credit.events-control",
) -> None:
    """Have all stores erase a customer's events up to now, by a message to the control topic."""
    from stream.client.topic_reader import TopicReader
    from stream.history import erase_message

    name = customer_option(customer_id)
    reader = TopicReader(settings.connection, topic, f"credit-history-{topic}")
    until = {str(partition): high for partition, (_, high) in reader.extents().items()}
    reader.close()
    _send(settings, control, name, erase_message(name, until))
    say(f"erasure sent to {control}; a folder's store holds the bytes until `credit history copy` makes a copy")


@takes_settings
def void(
    settings: ConnectionSettings,
    *,
    customer_id: Annotated[str, typer.Option("--customer-id", help="Whose event.", show_default=False)],
    partition: Annotated[int, typer.Option("--partition", min=0, help="Of the event.", show_default=False)],
    offset: Annotated[int, typer.Option("--offset", min=0, help="Of the event.", show_default=False)],
    control: Annotated[str, typer.Option("--control", help="Topic of erasures and voids.")] = "credit.events-control",
) -> None:
    """Have all stores take one event back, also one that cannot be used; `show` and dead letters name it."""
    from stream.history import void_message

    name = customer_option(customer_id)
    _send(settings, control, name, void_message(name, partition, offset))
    say(f"void sent to {control}")


def _send(settings: ConnectionSettings, control: str, customer_id: str, message: bytes) -> None:
    from stream.client.producer import RecordProducer
    from stream.client.records import Record
    from stream.settings.client_settings import producer_config

    producer = RecordProducer(producer_config(settings.connection))
    producer.send([Record(control, 0, customer_id.encode(), message, ())])
    producer.flush(30)
