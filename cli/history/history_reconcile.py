"""`credit history reconcile`: last night's batch against live decisions; each difference has a name."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import say, say_table, stages
from cli.history.history_options import StoreOption
from cli.log.log_options import AsJson, Log, PiiKey, instant, read_pii_key
from features.errors import InputError

if TYPE_CHECKING:
    from verify import Reconciled

EXAMPLE = "Example: credit history reconcile demo/log --store demo/history"
_DEFECT = 7
_SHOWN = 20
_MEANING = {
    "late": "  late: the batch has events that came behind the decision's watermark",
    "voided": "  voided: an event was taken back since",
    "erased": "  erased: the customer's events were erased since",
    "expired": "  expired: the store keeps events of that age no longer",
}


def reconcile(  # noqa: PLR0917 - typer takes options by name
    log: Log,
    store: StoreOption,
    bundles: Annotated[
        Path | None,
        typer.Option(
            "--bundles",
            help="Folder of the bundles that decided; default: `bundles` beside the log.",
            show_default=False,
        ),
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="Decided at or after this date or instant.", show_default=False)
    ] = None,
    pii_key: PiiKey = None,
    as_json: AsJson = False,
) -> None:
    """Hold decisions whose events came from a store against a batch over it; exit 7 if a difference has no cause."""
    from history import open_store
    from receipts.log import segments
    from receipts.replay import all_parts, find_bundles, since_when
    from verify import reconcile as run

    begin = None if since is None else instant("--since", since)
    opened = open_store(store)
    with stages("Reconciling", 2) as stage:
        stage("read")
        chosen = since_when(segments(log), begin)
        if not chosen:
            raise InputError(f"{log}: holds no receipts{'' if since is None else ' from then on'}.")
        folders = find_bundles(log.resolve().parent / "bundles" if bundles is None else bundles, chosen)
        stage("compare")
        threads = len(os.sched_getaffinity(0))
        report = run(all_parts(chosen, begin), folders, opened, read_pii_key(pii_key), threads)
    opened.close()
    if as_json:
        say(json.dumps(report.document(), indent=2))
    else:
        _say(report)
    sys.exit(_DEFECT if report.defects else 0)


def _say(report: "Reconciled") -> None:
    found = report.document()
    rows = [("decisions from the history store", found["decisions"]), ("  the same in the batch", found["same"])]
    rows += [(text, found[name]) for name, text in _MEANING.items()]
    rows += [("  defects", found["defects"]), ("decisions that carried their events, not compared", found["carried"])]
    say_table((), rows)
    say()
    if report.differences:
        lines = [
            (
                one.decision_id,
                one.application_id,
                ", ".join(one.names),
                ", ".join(place for places in one.places.values() for place in places[:2]),
            )
            for one in report.differences[:_SHOWN]
        ]
        say_table(("decision_id", "application", "differs by", "events (PARTITION:OFFSET)"), lines)
        rest = len(report.differences) - _SHOWN
        say(f"and {rest:,} more, which --json lists" if rest > 0 else "")
    if report.defects:
        say(f"{report.defects:,} of {report.decisions:,} decisions differ without a cause: defects.")
    else:
        say(f"Every difference of {report.decisions:,} decisions has a cause: 0 defects.")
