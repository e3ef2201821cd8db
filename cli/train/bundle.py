"""`credit bundle`: look at a bundle, and verify it as a door would."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import say, say_table
from cli.doors.trusted import TrustOption, open_scorer
from cli.figures import metric_rows
from cli.train.registry import check_approved, refuse_rollback, say_standing
from features.errors import BundleError
from features.spec.contract import Spec
from metrics import Evaluation
from registry import Trust, sign_bundle, signers
from scoring import links
from scoring.bundle import read_bundle
from scoring.machine import cpu_family
from scoring.message import application_schema, decision_json_schema, example_application
from scoring.scorer import Scorer

app = typer.Typer(no_args_is_help=True, help="Show, verify, sign, promote or roll back a bundle.")

BundlePath = Annotated[Path, typer.Argument(help="The bundle's folder, or a link to it.", show_default=False)]


@app.command(epilog="Example: credit bundle show demo/bundles/current")
def show(
    bundle: BundlePath,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
) -> None:
    """Verify a bundle and print what it is, how good it is, and whether its bits hold on this machine."""
    scorer = Scorer.open(bundle)
    if as_json:
        say(json.dumps({"bundle_id": scorer.bundle.bundle_id, **scorer.bundle.manifest}, indent=2, ensure_ascii=False))
        return
    try:
        _say_bundle(scorer)
    except (KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{bundle}: manifest.json lacks facts that every export states. Publish it again.") from error


def _say_bundle(scorer: Scorer) -> None:
    manifest, spec = scorer.bundle.manifest, scorer.bundle.spec
    model = manifest["model"]
    say(f"Bundle      {scorer.bundle.bundle_id}")
    say_standing(scorer.bundle.path)
    say(f"Spec        {spec.name}: {', '.join(spec.classes)} (worst first), costs in {spec.currency.code}")
    say(f"Model       {model['kind']}, {model['trees']} trees, {len(model['features'])} features")
    say(f"Parity      largest difference {manifest['parity']['largest_difference']:.1e} on {_rows(manifest)} rows")
    contributions = manifest["parity"]["contributions"]
    codes = {entry.code for entry in scorer.bundle.explainer.book.entries}
    distance = f"{contributions['largest_difference']:.1e}"
    say(f"Reasons     {len(codes)} codes; contributions differ from the native library's by {distance} at most")
    say(f"Bits        {_bits(scorer)}")
    say(f"Libraries   {', '.join(f'{name} {version}' for name, version in manifest['libraries'].items())}")
    _say_evaluation(scorer.bundle.evaluation, spec)


def _rows(manifest: dict[str, Any]) -> int:
    return sum(manifest["parity"]["rows"].values())


def _bits(scorer: Scorer) -> str:
    made, here, golden = scorer.bundle.manifest["cpu_family"], cpu_family(), scorer.golden
    if golden.bits:
        return f"all {golden.rows} golden rows agree to the bit (made on {made}, this is {here})"
    return (
        f"{golden.rows} golden rows agree within {golden.largest_difference:.1e} and in class, not to the bit: "
        f"made on {made}, this is {here}"
    )


def _say_evaluation(evaluation: Evaluation, spec: Spec) -> None:
    say(f"Origin      {evaluation.origin}. {evaluation.how}")
    say()
    for sentence in evaluation.sentences(spec.classes, spec.currency.code):
        say(sentence)
    for title, part in (
        (f"Judged: {evaluation.judged_on}", evaluation.judged),
        ("The same, as if the last periods had not come, judged from", evaluation.later),
    ):
        if part is None:
            continue
        policy = part["policy"]
        say()
        since = part.get("from", "").removesuffix("T00:00:00+00:00")
        say(f"{' '.join(filter(None, (title, since)))}: {policy['applications']:,} applications")
        names = [name for name in ("argmax", "majority_class", "approve_all") if name in part]
        others = [{row[0]: row[1] for row in metric_rows(part[name])} for name in names]
        rows = [(*row, *[other.get(row[0], "") for other in others]) for row in metric_rows(policy)]
        say_table(("metric", "policy", "95 % interval", *[name.replace("_", " ") for name in names]), rows)


@app.command(epilog="Example: credit bundle schema demo/bundles/current")
def schema(
    bundle: BundlePath,
    decision: Annotated[bool, typer.Option("--decision", help="Of the decision instead of the application.")] = False,
    example: Annotated[bool, typer.Option("--example", help="An application that scores, no schema.")] = False,
) -> None:
    """Print the JSON Schema of the application as a message, with an example; stream and REST take the same."""
    read = read_bundle(bundle)
    spec, medians = read.spec, read.explainer.book.medians
    made = decision_json_schema(spec) if decision else application_schema(spec, medians)
    made = example_application(spec, medians) if example else made
    say(json.dumps(made, indent=2, ensure_ascii=False))


@app.command(epilog="Example: credit bundle promote demo/bundles/current --as current")
def promote(
    bundle: BundlePath,
    name: Annotated[str, typer.Option("--as", help="Name of the link, beside the bundle.")] = "current",
) -> None:
    """Verify a bundle and let the link point to it, in one step; where there is a registry, only what it approved."""
    check_approved(bundle, name)
    link = links.promote(bundle, name)
    say(f"{link} -> {link.readlink()}")


@app.command(epilog="Example: credit bundle rollback --bundles demo/bundles")
def rollback(
    bundles: Annotated[Path, typer.Option("--bundles", help="The folder of bundles.")] = Path("bundles"),
    name: Annotated[str, typer.Option("--as", help="Name of the link.")] = "current",
) -> None:
    """Let the link point to the bundle before, after verifying it; once more brings the newer one back."""
    refuse_rollback(bundles)
    say(f"{bundles / name} -> {links.rollback(bundles, name).name}")


@app.command(epilog="Example: credit bundle verify demo/bundles/current")
def verify(bundle: BundlePath, trust: TrustOption = None) -> None:
    """Check version, files, hashes and golden rows, as every door does before it serves; exit 2 on any difference."""
    scorer = open_scorer(bundle, trust)
    say(f"{scorer.bundle.bundle_id} verified: {_bits(scorer)}.")
    if trust is not None:
        for one in signers(scorer.bundle, Trust.read(trust), _now()):
            say(f"signed by {one.name} (key {one.key}) on {one.at}")


@app.command(epilog='Example: credit bundle keygen --name "risk committee" --out demo/committee')
def keygen(
    name: Annotated[str, typer.Option("--name", help="Whose key it is.", show_default=False)],
    out: Annotated[Path, typer.Option("--out", help="Path without a suffix.", show_default=False)],
) -> None:
    """Make a key: OUT.pem signs and stays secret, OUT.toml is what others trust."""
    from registry.keys import make_key

    made = make_key(out, name)
    say(f"key {made}: {out}.pem signs and must stay with {name}; give {out}.toml to those who trust it")


@app.command(epilog="Example: credit bundle sign demo/bundles/current --key demo/committee.pem")
def sign(
    bundle: BundlePath,
    key: Annotated[Path, typer.Option("--key", help="Private key, .pem.", show_default=False)],
    expires: Annotated[
        datetime | None,
        typer.Option("--expires", formats=["%Y-%m-%d"], help="Last day on which it counts.", show_default=False),
    ] = None,
) -> None:
    """Verify a bundle and sign it; its id stays the same. Doors with --trust serve only what a trusted key signed."""
    from registry.keys import read_key

    say(str(sign_bundle(bundle, read_key(key), _now(), expires.date() if expires else None)))


def _now() -> datetime:
    return datetime.now(UTC)
