"""`credit train DIR --propose-directions`: what the data proposes, what it costs, and the lines for the spec."""

import tomllib
from typing import TYPE_CHECKING, Any

from cli.console import say, say_table
from features.spec.contract import Spec

if TYPE_CHECKING:
    from training.data import TrainingData


def say_proposals(data: "TrainingData", spec: Spec, kind: str, seed: int) -> None:
    """Print the table of proposals, then TOML to paste into the spec."""
    from training.fit import ModelKind
    from training.propose import propose

    found = propose(data, spec, ModelKind(kind), seed)
    if not found:
        say("No attribute and no group speaks clearly and alike in every fold, so there is no direction to propose.")
        return
    rows = [(p.table, p.direction, _figure(p.price["log_loss"], 4), _figure(p.price["cost"], 2)) for p in found]
    say_table(("table of the spec", "direction", "log loss", f"{spec.currency.code} an application"), rows)
    say("Each alone against none, out of fold, with 95 % intervals; above 0: what the direction costs.")
    stated = {f"attributes.{a.name}" for a in spec.attributes if a.direction}
    stated |= {f"rfm.{g.name}" for g in spec.groups if g.direction}
    new = [proposal for proposal in found if proposal.table not in stated]
    if not new:
        say("The spec states a direction for each of them.")
        return
    if "directions" in tomllib.loads(spec.text):
        say("\n# Keep what is common sense to you: lines for the table [directions] of spec.toml.")
    else:
        say("\n# Keep what is common sense to you; paste the rest at the end of spec.toml.\n[directions]")
    say("\n".join(proposal.toml() for proposal in new))


def _figure(figure: dict[str, Any], digits: int) -> str:
    value, low, high = (f"{figure[name]:+.{digits}f}" for name in ("value", "low", "high"))
    return f"{value} ({low} to {high})"
