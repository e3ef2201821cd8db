"""`credit key`: API keys for the REST door."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.console import say, say_table, warn

app = typer.Typer(no_args_is_help=True, help="Make, list or revoke API keys for `credit serve`.")

KeysOption = Annotated[
    Path, typer.Option("--keys", envvar="CREDIT_API_KEYS", help="File of API keys, which holds hashes only.")
]
_DEFAULT = Path("credit-keys.json")


@app.command(epilog='Example: credit key new --keys demo/keys.json --name "mobile back end"')
def new(
    name: Annotated[str, typer.Option("--name", help="Who will use the key.", show_default=False)],
    keys: KeysOption = _DEFAULT,
) -> None:
    """Make a key and print it, this once: only its hash is stored."""
    from serving.keys import KeyFile

    key = KeyFile(keys).new(name, _now())
    say(key)
    warn(f"The key is shown this once; {keys} holds its hash. Workers that run accept it from their next request on.")


@app.command("list", epilog="Example: credit key list --keys demo/keys.json")
def list_keys(keys: KeysOption = _DEFAULT) -> None:
    """Show the keys by id, with their names; never the keys themselves."""
    from serving.keys import KeyFile

    rows = [(key.id, key.name, key.created, key.revoked or "in force") for key in KeyFile(keys).entries()]
    say_table(("id", "name", "created", "revoked"), rows)


@app.command(epilog="Example: credit key revoke 0123abcd --keys demo/keys.json")
def revoke(
    key_id: Annotated[str, typer.Argument(help="The id that `credit key list` shows.", show_default=False)],
    keys: KeysOption = _DEFAULT,
) -> None:
    """Revoke a key; workers that run refuse it from their next request on."""
    from serving.keys import KeyFile

    key = KeyFile(keys).revoke(key_id, _now())
    say(f"{key.id} ({key.name}) revoked {key.revoked}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
