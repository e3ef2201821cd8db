"""What `credit train` and `credit export` say at their end; the last line is the bundle's folder."""

from pathlib import Path
from typing import Any

from cli.console import say, say_table, warn
from cli.figures import metric_rows
from cli.train.policy import never_assigned
from cli.train.tuning import say_tuning
from metrics import Evaluation

_SHOWN = 5  # directions that the data contradict


def say_trained(evaluation: dict[str, Any], published: Path) -> None:
    """Print what a search gained, the metrics, the verdict in sentences, and where the bundle is."""
    from scoring.bundle import read_bundle
    from training.report.content import verdict
    from training.report.files import content_of

    say_tuning(evaluation)
    _say_directions(evaluation.get("directions"))
    policy = evaluation["held_out_customers"]["policy"]
    judged_on = Evaluation.of_facts(evaluation).judged_on
    say(f"Judged: {judged_on}; {policy['applications']:,} applications. All figures: credit bundle show")
    say_table(("metric", "value", "95 % interval"), metric_rows(policy))
    starved = [name for name in policy["confusion"] if not any(row[name] for row in policy["confusion"].values())]
    if starved:
        warn(never_assigned(starved))
    say()
    for sentence in verdict(content_of(read_bundle(published))):
        say(sentence)
    say(str(published))


def _say_directions(found: dict[str, Any] | None) -> None:
    if found is None:
        return
    loss, cost = (found["all"][name] for name in ("log_loss", "cost"))
    say(
        f"Directions cost {loss['value']:+.4f} of log loss ({loss['low']:+.4f} to {loss['high']:+.4f}) and "
        f"{cost['value']:+.2f} an application ({cost['low']:+.2f} to {cost['high']:+.2f}); of each: credit bundle show "
        "--json"
    )
    against = [row for row in found["each"] if row["log_loss"]["low"] > 0]
    for row in sorted(against, key=lambda row: -row["log_loss"]["value"])[:_SHOWN]:
        price = row["log_loss"]
        warn(
            f"note: the direction of {row['name']} goes against the data: alone it costs {price['value']:+.4f} of log "
            f"loss ({price['low']:+.4f} to {price['high']:+.4f}). It is kept all the same; is it the right way round?"
        )
    if not found["class_follows"]:
        warn(
            "note: the costs are such that a better applicant may be called by a worse class (no Monge property), so "
            "directions are proved for probabilities and score, and not for the class."
        )
