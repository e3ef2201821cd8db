"""`credit registry`: who proposed and approved which bundle, when and why; what serves; and the way back."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import say, say_table
from cli.doors.trusted import TrustOption, open_scorer
from features.errors import SettingsError
from registry import Action, Entry, Ledger, Trust, served_before, standing
from scoring import links

if TYPE_CHECKING:
    from registry.keys import Key

app = typer.Typer(no_args_is_help=True, help="Propose, approve and put back bundles, with a record of who and why.")

BundlesOption = Annotated[Path, typer.Option("--bundles", help="The folder of bundles.")]
BundlePath = Annotated[Path, typer.Argument(help="The bundle's folder, or a link to it.", show_default=False)]
ByOption = Annotated[str, typer.Option("--by", help="Who does it; with a key, its owner's name.", show_default=False)]
NoteOption = Annotated[str, typer.Option("--note", help="Why, in a sentence.", show_default=False)]
LinkOption = Annotated[str, typer.Option("--as", help="Name of the link from which doors start.")]
KeyOption = Annotated[
    Path | None, typer.Option("--key", help="Private key that signs the entry, .pem.", show_default=False)
]
_DEFAULT = Path("bundles")


@app.command(epilog='Example: credit registry init --bundles demo/bundles --by Ada --note "new registry"')
def init(  # noqa: PLR0917 - typer takes options by name
    by: ByOption,
    note: NoteOption,
    bundles: BundlesOption = _DEFAULT,
    four_eyes: Annotated[bool, typer.Option("--four-eyes", help="Who proposed a bundle cannot approve it.")] = False,
    signed: Annotated[bool, typer.Option("--signed", help="Each entry must be signed by a key.")] = False,
    key: KeyOption = None,
    trust: TrustOption = None,
) -> None:
    """Begin a registry: from now on only approved bundles are promoted in this folder."""
    if not bundles.is_dir():
        raise SettingsError(f"{bundles}: no such folder. Expected the folder of bundles, as `credit train` fills it.")
    entry = Entry.new(Action.INIT, by, note, four_eyes=four_eyes, signed=signed)
    _append(Ledger(bundles), entry, key, trust)
    rules = [text for given, text in ((four_eyes, "four eyes"), (signed, "signed entries")) if given]
    say(f"{bundles}: registry begun ({', '.join(rules) or 'one person may propose and approve'})")


@app.command(epilog='Example: credit registry propose demo/bundles/current --by Ada --note "spring model"')
def propose(
    bundle: BundlePath, by: ByOption, note: NoteOption, key: KeyOption = None, trust: TrustOption = None
) -> None:
    """Verify a bundle as a door would, and put it before those who approve."""
    found = open_scorer(bundle, trust).bundle
    _append(Ledger(found.path.parent), Entry.new(Action.PROPOSE, by, note, bundle=found.bundle_id), key, trust)
    say(f"{found.bundle_id} proposed by {by}")


@app.command(epilog='Example: credit registry approve demo/bundles/current --by Grace --note "board of 3 May"')
def approve(  # noqa: PLR0917 - typer takes options by name
    bundle: BundlePath,
    by: ByOption,
    note: NoteOption,
    name: LinkOption = "current",
    key: KeyOption = None,
    trust: TrustOption = None,
) -> None:
    """Approve a proposed bundle and let the link point to it, in this order."""
    found = open_scorer(bundle, trust).bundle
    ledger = Ledger(found.path.parent)
    links.check_name(ledger.bundles, name)
    with ledger.changing():  # until the link follows: another approval comes before both or after both
        entry = Entry.new(Action.APPROVE, by, note, bundle=found.bundle_id, link=name)
        _append_alone(ledger, entry, key, trust)
        link = links.promote(found.path, name)
    say(f"{link} -> {link.readlink()}")


@app.command(epilog='Example: credit registry rollback --bundles demo/bundles --by Grace --note "AUC fell"')
def rollback(  # noqa: PLR0917 - typer takes options by name
    by: ByOption,
    note: NoteOption,
    bundles: BundlesOption = _DEFAULT,
    name: LinkOption = "current",
    key: KeyOption = None,
    trust: TrustOption = None,
) -> None:
    """Let the link point to the bundle that served before; it was approved then, so nobody approves it again."""
    ledger = Ledger(bundles)
    with ledger.changing():
        former = served_before(ledger.entries(_keys(trust)), name)
        if former is None:
            raise SettingsError(f"{bundles / name}: no other bundle was approved under this name. Approve one.")
        found = open_scorer(bundles / former, trust).bundle
        entry = Entry.new(Action.ROLLBACK, by, note, bundle=found.bundle_id, link=name)
        _append_alone(ledger, entry, key, trust)
        link = links.promote(found.path, name)
    say(f"{link} -> {link.readlink()}")


@app.command("list", epilog="Example: credit registry list --bundles demo/bundles")
def list_bundles(bundles: BundlesOption = _DEFAULT, trust: TrustOption = None) -> None:
    """Show every bundle of the folder, how it stands, and under which names it serves."""
    entries = Ledger(bundles).entries(_keys(trust))
    known = {entry.bundle for entry in entries if entry.bundle}
    rows = [(one[:12], standing(entries, one).sentence(), _serves(bundles, one)) for one in _present(bundles, known)]
    say_table(("bundle", "standing", "serves as"), rows)


@app.command(epilog="Example: credit registry show demo/bundles/current")
def show(bundle: BundlePath, trust: TrustOption = None) -> None:
    """Show what the registry says of one bundle, whole."""
    folder = bundle.resolve()
    entries = Ledger(folder.parent).entries(_keys(trust))
    say(f"Bundle      {folder.name}")
    say(f"Standing    {standing(entries, folder.name).sentence()}")
    say(f"Serves as   {_serves(folder.parent, folder.name) or 'nothing'}")
    _say_entries([one for one in entries if one.bundle == folder.name])


@app.command(epilog="Example: credit registry history --bundles demo/bundles")
def history(bundles: BundlesOption = _DEFAULT, trust: TrustOption = None) -> None:
    """Check the chain from its first line, with --trust the signatures too, and print every entry."""
    entries = Ledger(bundles).entries(_keys(trust))
    _say_entries(entries)
    say(f"{len(entries)} entries, chain intact{', signed by trusted keys' if trust else ''}; head {entries[-1].digest}")


@app.command(
    epilog="Example: credit registry mirror --bundles demo/bundles --mlflow https://mlflow.example --model credit"
)
def mirror(
    server: Annotated[
        str, typer.Option("--mlflow", help="MLflow's address, https://... or http://...", show_default=False)
    ],
    model: Annotated[str, typer.Option("--model", help="Name of the registered model there.", show_default=False)],
    bundles: BundlesOption = _DEFAULT,
    location: Annotated[
        str | None,
        typer.Option("--location", help="Where the bundles lie, as in s3://models; shown there.", show_default=False),
    ] = None,
    trust: TrustOption = None,
) -> None:
    """Show in MLflow's model registry what this one says: versions, standing, aliases. Nothing is read back."""
    from registry.mirror import mirror as show_there

    ledger = Ledger(bundles)
    entries = ledger.entries(_keys(trust))
    serving = {name: _leads_to(bundles / name) for name in dict.fromkeys(one.link for one in entries if one.link)}
    changes = show_there(entries, serving, server, model, location)
    for text in changes or ["nothing to change"]:
        say(f"{model}: {text}")


def check_approved(bundle: Path, name: str) -> None:
    """Refuse to promote what a registry beside the bundle has not approved under this name.

    Raises:
        SettingsError: it is not approved, or the registry does not check.

    """
    folder = bundle.resolve()
    if not Ledger(folder.parent).exists:
        return

    found = standing(Ledger(folder.parent).entries(), folder.name)
    if name not in found.approved:
        raise SettingsError(
            f"{folder.name[:12]}: {found.sentence()}; this folder has a registry, so `credit registry propose` and "
            f"`credit registry approve --as {name}` come first."
        )


def refuse_rollback(bundles: Path) -> None:
    """Refuse to go back without an entry, where there is a registry.

    Raises:
        SettingsError: there is one.

    """
    if Ledger(bundles).exists:
        raise SettingsError(f"{bundles}: has a registry, so `credit registry rollback --bundles {bundles}` goes back.")


def say_standing(bundle: Path) -> None:
    """Say how a bundle stands, where there is a registry beside it."""
    folder = bundle.resolve()
    if Ledger(folder.parent).exists:
        say(f"Standing    {standing(Ledger(folder.parent).entries(), folder.name).sentence()}")


def _append(ledger: Ledger, entry: Entry, key: Path | None, trust: Path | None) -> None:
    with ledger.changing():
        _append_alone(ledger, entry, key, trust)


def _append_alone(ledger: Ledger, entry: Entry, key: Path | None, trust: Path | None) -> None:
    """Append within `Ledger.changing`."""
    ledger.append(entry, datetime.now(UTC), _key(key), _keys(trust))


def _keys(trust: Path | None) -> Trust | None:

    return None if trust is None else Trust.read(trust)


def _key(path: Path | None) -> "Key | None":

    if path is None:
        return None
    from registry.keys import read_key

    return read_key(path)


def _present(bundles: Path, known: set[str]) -> list[str]:
    """Return the bundles that lie in the folder or stand in the registry."""
    there = {path.name for path in bundles.iterdir() if (path / "manifest.json").exists() and not path.is_symlink()}
    return sorted(there | known)


def _serves(bundles: Path, bundle: str) -> str:
    found = [p.name for p in sorted(bundles.iterdir()) if p.is_symlink() and p.resolve().name == bundle]
    return ", ".join(name for name in found if not name.endswith(".previous"))


def _leads_to(link: Path) -> str | None:
    return link.resolve().name if link.exists() else None


def _say_entries(entries: list[Entry]) -> None:
    rows = [(e.number, e.at, e.by, e.action, e.bundle[:12], e.link, e.note, e.key) for e in entries]
    say_table(("", "when", "who", "what", "bundle", "as", "why", "key"), rows)
