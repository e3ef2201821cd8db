"""`credit stream`: applications from a Kafka topic to decisions, and what goes with it."""

import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import say, say_table
from cli.doors import dead_letters, stream_status
from cli.doors.settings import takes_settings
from cli.options import Applications, Encoding, Events, Separator, csv_dialect
from features.errors import SettingsError
from stream.settings.settings import ConnectionSettings, StreamSettings, TopicSettings

if TYPE_CHECKING:
    from stream.client.records import Headers

app = typer.Typer(no_args_is_help=True, help="Score applications from Kafka, each exactly once.")
app.add_typer(dead_letters.app, name="dead-letters")
app.command("status", epilog=stream_status.EXAMPLE)(stream_status.status)


@app.command(epilog="Example: credit stream run --bundle demo/bundles/current --brokers 127.0.0.1:9092")
@takes_settings
def run(settings: StreamSettings) -> None:
    """Score what arrives, until SIGTERM. Exit codes: 4 brokers, 5 watchdog, 6 circuit breaker, 9 decide first."""
    from cli.doors.trusted import open_scorer
    from serving.watchdog import Watchdog
    from stream.bundles import Bundles
    from stream.service import Control, run_worker

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    control = Control(Watchdog(settings.deadline_s))
    _on_signal(control.stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to look with
    bundles = Bundles(settings, control, lambda folder: open_scorer(folder, settings.trust))
    bundles.watches.start()
    signal.signal(signal.SIGHUP, lambda *_: bundles.watches.look_now())
    run_worker(settings, bundles.first.answer, bundles.first.bundle_id, control)


@app.command(
    epilog="Example: credit stream publish --applications demo/tonight/applications.csv --events "
    "demo/tonight/events.csv --brokers 127.0.0.1:9092 --topic credit.applications"
)
@takes_settings
def publish(
    settings: ConnectionSettings,
    *,
    applications: Applications,
    events: Events = None,
    topic: Annotated[str, typer.Option("--topic", help="Topic to write to.")] = "credit.applications",
    bundle: Annotated[
        Path | None,
        typer.Option("--bundle", help="Send its attributes only; else every column is one.", show_default=False),
    ] = None,
    without_events: Annotated[
        bool,
        typer.Option("--without-events", help="Leave `events` out: workers take them from a history store."),
    ] = False,
    header: Annotated[
        list[str] | None,
        typer.Option("--header", help="NAME=VALUE that each message bears, such as a trace.", show_default=False),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Leave out what an interrupted publish of the same tables sent already."),
    ] = False,
    per_second: Annotated[
        float | None, typer.Option("--per-second", min=0.001, help="No faster than this.", show_default=False)
    ] = None,
    separator: Separator = None,
    encoding: Encoding = None,
) -> None:
    """Send applications with their customers' events to a topic, keyed by customer. Outlasts brokers that fail over."""
    from batch import NO_EVENTS, check_needs_no_events
    from scoring.bundle import read_bundle
    from scoring.message import encode_messages, every_column
    from storage.tables import read_table
    from stream.publish import Publishing
    from stream.publish import publish as send

    spec = None if bundle is None else read_bundle(bundle).spec
    csv = csv_dialect(separator, encoding, None if spec is None else spec.csv)
    if without_events and events is not None:
        raise SettingsError("--events and --without-events: expected one of the two.")
    account = NO_EVENTS if events is None else read_table(events, "events", may_be_empty=True, dialect=csv)
    table = read_table(applications, "applications", dialect=csv)
    if spec is not None and events is None and not without_events:
        check_needs_no_events(spec)
    attributes = every_column(table) if spec is None else spec.attributes
    encoded = encode_messages(table, None if without_events else account, attributes)
    pairs = ((m.customer_id, m.body) for m in encoded)
    how = Publishing(per_second=per_second, headers=_headers(header or ()), resume=resume)
    done = send(settings, topic, pairs, how)
    before = f"; {done.before:,} had arrived before" if resume else ""
    say(f"{done.sent:,} application{'' if done.sent == 1 else 's'} published to {topic}{before}")


def _headers(given: Sequence[str]) -> "Headers":
    pairs = [text.partition("=") for text in given]
    if not all(name.strip() and equal for name, equal, _ in pairs):
        raise SettingsError("--header: expected NAME=VALUE, such as correlation-id=7f3a.")
    return [(name.strip(), value.encode()) for name, _, value in pairs]


@app.command(epilog="Example: credit stream decisions --brokers 127.0.0.1:9092 --limit 3")
@takes_settings
def decisions(
    settings: TopicSettings,
    limit: Annotated[int, typer.Option("--limit", min=1, help="So many at most.")] = 10,
) -> None:
    """Print committed decisions, one line of JSON each, oldest first by partition."""
    from itertools import islice

    from stream.client.cluster import read_records
    from stream.position.group import Group
    from stream.settings.client_settings import member_config

    topic = settings.output
    reader = Group(member_config(settings.connection, settings.group), topic)
    marks = {p: reader.watermarks(topic, p) for p in range(_partitions(settings, topic))}
    starts, ends = ({p: mark[i] for p, mark in marks.items() if mark[0] < mark[1]} for i in (0, 1))
    for record in islice(read_records(settings.connection, topic, starts, ends), limit):
        say((record.value or b"").decode(errors="replace"))
    reader.close()


def _partitions(settings: TopicSettings, topic: str) -> int:
    from stream.client.cluster import Admin
    from stream.client.errors import no_topic

    count = Admin(settings.connection).cluster(topic).partitions.get(topic, 0)
    if not count:
        raise no_topic(topic)
    return count


@app.command(epilog="Example: credit stream topics --brokers 127.0.0.1:9092 --replicas 1")
@takes_settings
def topics(
    settings: TopicSettings,
    partitions: Annotated[int, typer.Option("--partitions", min=1, help="Partitions of each new topic.")] = 4,
    replicas: Annotated[int, typer.Option("--replicas", min=1, help="Copies; 3 in production.")] = 3,
    check: Annotated[
        bool, typer.Option("--check", help="Create nothing: say what does not fit, and what mends it; then exit 2.")
    ] = False,
) -> None:
    """Create the topics that are missing, with room for dead letters of the largest size; or check those there are."""
    from stream.client.cluster import Admin
    from stream.start import create_missing
    from stream.topic_check import check_fit

    admin = Admin(settings.connection)
    if not check:
        say_table(("topic", "partitions", ""), create_missing(admin, settings, partitions, replicas))
        return
    found = check_fit(admin, settings, replicas)
    for topic, problem, command in found:
        say(f"{topic}: {problem}\n    {command}")
    if found:
        raise SettingsError(f"{len(found)} things do not fit. The lines above say what mends each.")
    say("The topics fit.")


@app.command(epilog="Example: credit stream embedded --for-seconds 1")
def embedded(
    for_seconds: Annotated[
        float | None, typer.Option("--for-seconds", help="End by itself after so long.", show_default=False)
    ] = None,
) -> None:
    """Run the embedded broker, for demos: prints its address, then serves until SIGTERM. At-least-once only."""
    from stream.client.cluster import EmbeddedBroker

    ended = threading.Event()
    _on_signal(ended.set)
    broker = EmbeddedBroker()
    say(broker.address)
    sys.stdout.flush()
    ended.wait(for_seconds)


def _on_signal(stop: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop())
