"""`credit stream` and `credit log consume` where the extra `stream` is not installed: they say so."""

import typer

from cli.extras import missing_extra
from features.errors import SettingsError

app = typer.Typer()
ANY = {"allow_extra_args": True, "ignore_unknown_options": True}


@app.command("stream", context_settings=ANY)
def stream() -> None:
    """Score applications from Kafka. Needs the extra `stream`."""
    raise SettingsError(missing_extra("confluent_kafka"))
