"""`credit stream status`: how a group stands."""

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import say, say_table
from cli.doors.settings import takes_settings
from stream.settings.settings import TopicSettings

if TYPE_CHECKING:
    from stream.status import Status

EXAMPLE = "Example: credit stream status --group credit-scorer --brokers 127.0.0.1:9092"


@takes_settings
def status(
    settings: TopicSettings,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print a group's lag in messages and seconds, its members, what each waits for, and open transactions."""
    from stream.status import Look

    found = Look(settings, time.time()).status()
    if as_json:
        say(json.dumps(found.document(), indent=2))
        return
    _say(found)


def _say(found: "Status") -> None:
    whole = found.document()
    members = f"{len(found.members)} member{'' if len(found.members) == 1 else 's'}"
    say(f"{found.group}: {found.state}, {members}, {whole['lag']:,} messages behind, {whole['lag_seconds']:,.0f} s")
    say()
    rows = [
        (
            p.partition,
            p.member,
            "" if p.offset is None else p.offset,
            p.end,
            p.lag,
            _or_none(p.lag_seconds),
            p.waits_for,
        )
        for p in found.partitions
    ]
    say_table(("partition", "member", "next", "end", "behind", "seconds", "waits for"), rows)
    idle = [m for m in found.members if not m.partitions]
    for member in idle:
        say(
            f"{member.name} at {member.host} waits for a partition: there are more members than partitions, or it joins"
        )
    for open_ in found.open_transactions:
        say()
        age = "" if open_.seconds is None else f", begun {open_.seconds:,.0f} s ago"
        say(f"open transaction: {open_.topic} partition {open_.partition} from offset {open_.offset} on{age}")
        say(f"    whose:    {open_.ask}")
        say(f"    end it, if its writer is gone: {open_.end}")


def _or_none(number: float | None) -> str:
    return "" if number is None else f"{number:,}"
