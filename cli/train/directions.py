"""`credit train DIR --propose-directions`: what the data proposes, what it costs, and the lines for the spec."""

from typing import TYPE_CHECKING, Any

from cli.console import say, say_table, warn
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
    if spec.version == 1:
        warn('note: directions need spec_version = 2; see "From version 1 to 2" in docs/spec.md.')
    say("\n# Keep what is common sense to you; put each line into the table of that name in spec.toml.")
    for proposal in found:
        say("\n".join(proposal.toml()))


def _figure(figure: dict[str, Any], digits: int) -> str:
    value, low, high = (f"{figure[name]:+.{digits}f}" for name in ("value", "low", "high"))
    return f"{value} ({low} to {high})"
