"""`credit policy`: look at the costs that turn probabilities into classes, and set others without training."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.console import say, say_table, stages, warn
from features.errors import SettingsError
from metrics import Place, Unit, listed, value_of
from scoring.bundle import Bundle, read_bundle
from scoring.policy import Policy
from scoring.scorer import Scorer

if TYPE_CHECKING:
    from training.evaluate.judged import Judged

app = typer.Typer(no_args_is_help=True, help="Show or set the costs by which classes are assigned.")

BundlePath = Annotated[Path, typer.Argument(help="The bundle's folder, or a link to it.", show_default=False)]


@app.command(epilog="Example: credit policy show demo/bundles/current --toml")
def show(
    bundle: BundlePath,
    toml: Annotated[bool, typer.Option("--toml", help="Print policy.toml, to be edited and set.")] = False,
) -> None:
    """Print what each mistake costs, and which classes that assigns."""
    found = read_bundle(bundle)
    if toml:
        say(found.policy.to_toml().rstrip("\n"))
        return
    say_costs(found.policy)
    say()
    _say_points(found)


def say_costs(policy: Policy) -> None:
    """Print the cost matrix."""
    say(f"Cost in {policy.currency} of calling an applicant of a class (row) by a class (column):")
    rows = [
        (f"is {name}", *[f"{cost:,.2f}" for cost in row])
        for name, row in zip(policy.classes, policy.costs, strict=True)
    ]
    say_table(("", *[f"called {name}" for name in policy.classes]), rows)
    if policy.multiplier != 1:
        say(
            f"Where classes are assigned, calling another class {policy.classes[-1]} counts {policy.multiplier:.4g} "
            "times as much, so that the floors of precision and recall are met."
        )


def _say_points(bundle: Bundle) -> None:
    policy = bundle.evaluation.policy
    confusion = policy["confusion"]
    total = sum(sum(row.values()) for row in confusion.values())
    classes = bundle.policy.classes
    mix = [sum(confusion[actual][name] for actual in classes) / (total or 1) for name in classes]
    say(f"On {policy['applications']:,} held-out applications:")
    rows: list[tuple[str, ...]] = [(f"called {n}", f"{100 * s:.1f} %") for n, s in zip(classes, mix, strict=True)]
    found = bundle.evaluation.metrics
    names = [f"{m.name}_{classes[-1]}" if m.by_class else m.name for m in listed(Place.POLICY)]
    rows += [(name, _value(found[name])) for name in names if name in found]
    say_table((), rows)
    starved = [name for name, share in zip(classes, mix, strict=True) if share == 0]
    if starved:
        warn(never_assigned(starved))


def _value(figure: dict[str, Any]) -> str:
    return "not defined" if figure["value"] is None else f"{figure['value']:,.4f}"


def never_assigned(classes: list[str]) -> str:
    """Say that a policy starves classes."""
    return (
        f"note: the policy never assigns {', '.join(classes)} to a held-out application: its costs starve the class. "
        "Check the costs, or leave the class out of the spec."
    )


@app.command("set", epilog="Example: credit policy set demo/bundles/current --costs costs.toml --bundles demo/bundles")
def set_policy(
    bundle: BundlePath,
    costs: Annotated[
        Path,
        typer.Option(
            "--costs",
            help="A policy.toml, or a file with the tables policy.costs and policy.floors of a spec.",
            show_default=False,
        ),
    ],
    bundles: Annotated[Path, typer.Option("--bundles", help="Where bundles are published.", show_default=False)],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="The training data: judges the new policy exactly, with intervals.", show_default=False
        ),
    ] = None,
) -> None:
    """Publish a bundle with the same model and other costs; says what changes. The bundle's folder is printed last.

    Floors, the least precision and recall of the best class, are those of the file, else those of the bundle's spec.
    """
    from cli.train.model import training_data
    from model_export import choose_new_policy, on_histogram, publish_policy
    from training.costs_file import with_costs
    from training.evaluate.rejudge import rejudge

    with stages("Setting the policy", 3) as stage:
        stage("verify")
        old = Scorer.open(bundle).bundle
        policy = choose_new_policy(old, with_costs(old.spec, costs))
        if policy == old.policy:
            raise SettingsError(f"{costs}: these are the costs of the bundle already, so there is nothing to publish.")
        stage("judge")
        rejudged = None if data is None else rejudge(old, training_data(data, old.spec), policy)
        judged = on_histogram(old, policy) if rejudged is None else rejudged.judged
        stage("publish")
        published = publish_policy(old, policy, bundles, rejudged)
    say_costs(policy)
    say()
    _say_changes(judged, old.policy, exact=rejudged is not None)
    say(str(published))


def _say_changes(judged: "Judged", former: Policy, *, exact: bool) -> None:
    from dataclasses import replace

    from training.report.figures.trade_off import trade_off

    before = trade_off(replace(judged, policy=former), intervals=False)
    after = trade_off(judged, intervals=False)
    moved = int((former.assign(judged.probabilities) != judged.assigned).sum())
    source = "held-out applications" if exact else "held-out applications, from the bundle's histogram (rounded)"
    say(f"{moved:,} of {len(judged.examples):,} {source} get another class:")
    mixes = before["class_mix"]["policy"], after["class_mix"]["policy"]
    rows = [(f"called {n}", f"{100 * mixes[0][n]:.1f} %", f"{100 * mixes[1][n]:.1f} %") for n in judged.spec.classes]
    names = [metric.name for metric in listed(Place.POLICY) if metric.unit is not Unit.MONEY]
    points = before["points"]["policy"], after["points"]["policy"]
    rows += [(name, _value(points[0][name]), _value(points[1][name])) for name in names]
    at_new = replace(judged, policy=replace(former, costs=judged.policy.costs))
    decided = replace(at_new.decided, assigned=former.assign(judged.probabilities))
    rows += [
        (
            "cost at the new prices",
            f"{value_of('expected_cost', decided):,.2f}",
            f"{points[1]['expected_cost']['value']:,.2f}",
        )
    ]
    say_table(("", "former policy", "new policy"), rows)
    if after["never_assigned"]:
        warn(never_assigned(after["never_assigned"]))
