"""`credit log consume`: from the topic of receipts to the decision log."""

import logging
import re
import signal
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import say
from cli.doors.settings import takes_settings
from cli.log.log_options import PiiKey, read_pii_key
from features.errors import BundleError, SettingsError
from stream.settings.settings import ConnectionSettings

if TYPE_CHECKING:
    from features.spec.contract import Spec
    from receipts.log import Head

EXAMPLE = "Example: credit log consume --log demo/log --bundles demo/bundles --brokers 127.0.0.1:9092"
_PLACE = re.compile(r"([0-9]{1,9}):([0-9]{1,18})")


@takes_settings
def consume(
    settings: ConnectionSettings,
    *,
    log: Annotated[Path, typer.Option("--log", help="The decision log's folder.", show_default=False)],
    bundles: Annotated[
        Path, typer.Option("--bundles", help="Folder of the bundles that decide, or one.", show_default=False)
    ],
    topic: Annotated[str, typer.Option("--topic", help="Topic of receipts.")] = "credit.receipts",
    group: Annotated[str, typer.Option("--group", help="Group whose offsets show how far the log is.")] = "credit-log",
    seal_seconds: Annotated[
        float, typer.Option("--seal-seconds", min=0.1, help="Receipts are sealed after this.")
    ] = 60,
    stop_when_idle: Annotated[
        float | None,
        typer.Option(
            "--stop-when-idle",
            min=0,
            help="End when all is read and nothing has arrived for so many seconds.",
            show_default=False,
        ),
    ] = None,
    skip: Annotated[
        list[str] | None,
        typer.Option("--skip", help="PARTITION:OFFSET of a record that is no receipt.", show_default=False),
    ] = None,
    dead_letters: Annotated[
        str | None,
        typer.Option("--dead-letters", help="Topic for records that are no receipts, with a code.", show_default=False),
    ] = None,
    from_earliest: Annotated[
        bool, typer.Option("--from-earliest", help="Go on although receipts are gone from the topic.")
    ] = False,
    pii_key: PiiKey = None,
) -> None:
    """Seal the stream's receipts into the decision log, exactly once, until SIGTERM; prints each new head."""
    from receipts.log import Chain
    from stream.client.topic_reader import TopicReader
    from stream.receipts import Aside, Consume, ReceiptReading, Sealing

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    reading = ReceiptReading(
        spec_of=_specs(bundles),
        pii_key=read_pii_key(pii_key),
        skip=frozenset(map(_place, skip or ())),
        aside=Aside(settings.connection, topic, dead_letters, group) if dead_letters else None,
    )
    sealing = Sealing(reading=reading, seconds=seal_seconds, from_earliest=from_earliest)
    stopping = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.append(True))
    reader = TopicReader(settings.connection, topic, group)
    with Chain.open(log, f"stream-{topic}") as chain:
        Consume(reader, chain, sealing, _said).run(lambda: bool(stopping), stop_when_idle)
    reader.close()


def _said(head: "Head") -> None:
    say(f"{head.writer} segment {head.number}: {head.rows:,} receipts, head {head.hash}")
    sys.stdout.flush()


def _place(text: str) -> tuple[int, int]:
    found = _PLACE.fullmatch(text)
    if found is None:
        raise SettingsError("--skip: expected PARTITION:OFFSET, such as 0:1234.")
    return int(found[1]), int(found[2])


def _specs(bundles: Path) -> Callable[[str], "Spec"]:
    from scoring.bundle import read_bundle

    @lru_cache
    def spec_of(bundle_id: str) -> "Spec":
        path = bundles / bundle_id if (bundles / bundle_id).is_dir() else bundles.resolve()
        if path.name != bundle_id:
            raise BundleError(
                f"{bundles}: lacks the bundle {bundle_id}, which made decisions of this topic. Put it there."
            )
        return read_bundle(path).spec

    return spec_of
