"""`credit stream dead-letters`: what failed and why; corrected or retried messages go back."""

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import say, say_table
from cli.doors.settings import takes_settings
from features.errors import InputError
from stream.settings.settings import TopicSettings

if TYPE_CHECKING:
    from stream.redrive import Pending, Resend

app = typer.Typer(no_args_is_help=True, help="What failed and why; send corrected or retried messages back.")

Code = Annotated[str | None, typer.Option("--code", help="Only those with this code.", show_default=False)]


@app.command(name="list", epilog="Example: credit stream dead-letters list --brokers 127.0.0.1:9092")
@takes_settings
def list_(
    settings: TopicSettings,
    code: Code = None,
    everything: Annotated[bool, typer.Option("--all", help="Settled ones too, as far as the topic has them.")] = False,
    export: Annotated[
        Path | None, typer.Option("--export", help="Write each message into this folder.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON for each.")] = False,
) -> None:
    """List dead letters that are not settled: where each came from, the code, and what was expected where."""
    from stream.redrive import DeadLetters

    rows = []
    with closing(DeadLetters(settings)) as letters:
        for pending in letters.pending(everything=everything):
            row = _row(pending)
            if code is None or row["code"] == code:
                rows.append(row)
                if export is not None:
                    _write(export, pending)
    if as_json:
        for row in rows:
            say(json.dumps(row, ensure_ascii=False))
        return
    header = ("dead letter", "application", "code", "pointer", "expected")
    say_table(header, [tuple(row[name] for name in ("place", "source", "code", "pointer", "expected")) for row in rows])
    say(f"{len(rows):,} dead letter{'' if len(rows) == 1 else 's'}{'' if everything else ' not settled'}")


@app.command(epilog="Example: credit stream dead-letters redrive --brokers 127.0.0.1:9092 --code spec_mismatch")
@takes_settings
def redrive(
    settings: TopicSettings,
    code: Code = None,
    corrected: Annotated[
        Path | None,
        typer.Option("--corrected", help="Send those with a file here, as `list --export` names it, with its content."),
    ] = None,
) -> None:
    """Send dead letters back to the input topic and settle them in one transaction; others stay dead letters."""
    from stream.redrive import DeadLetters, Resend

    if corrected is not None and not corrected.is_dir():
        raise InputError(f"{corrected}: no such folder. Expected one that `list --export` wrote.")

    def choose(pending: "Pending") -> "Resend | None":
        if pending.letter is None or (code is not None and pending.letter.code != code):
            return None
        if corrected is None:
            return Resend(pending.message.value)
        file = corrected / pending.file_name
        return Resend(file.read_bytes()) if file.is_file() else None

    with closing(DeadLetters(settings)) as letters:
        done = letters.redrive(choose)
    say_table((), sorted(done.items()) or [("nothing to send", 0)])


def _row(pending: "Pending") -> dict[str, object]:
    m, letter = pending.message, pending.letter
    return {
        "place": f"{m.partition}-{m.offset}",
        "source": f"{letter.topic} {letter.partition}-{letter.offset}" if letter else "",
        "code": letter.code if letter else "not ours",
        "pointer": letter.pointer if letter else "",
        "expected": letter.expected if letter else "headers of a dead letter",
    }


def _write(folder: Path, pending: "Pending") -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / pending.file_name).write_bytes(pending.message.value or b"")
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to ({error.strerror}). Choose another --export.") from error
