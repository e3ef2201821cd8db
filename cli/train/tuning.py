"""The search of `credit train`: its limits, its clock, its progress bar and what it says."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.console import Stages, say, warn
from features.errors import SettingsError
from features.spec.contract import Spec

if TYPE_CHECKING:
    from training.search import Search


@dataclass(frozen=True, slots=True)
class Limits:
    """Candidates in all, or minutes, or both."""

    trials: int | None
    minutes: float | None


def search_limits(trials: int | None, minutes: float | None) -> Limits | None:
    """Check the limits of a search; None: no search was asked for.

    Raises:
        SettingsError: a time that leaves no candidate.

    """
    if minutes is not None and not 0 < minutes < float("inf"):
        raise SettingsError(
            f"--tune-minutes {minutes:g}: expected more than 0. Leave it out to train with the defaults."
        )
    if not trials and minutes is None:
        return None
    if trials == 0:
        raise SettingsError("--trials 0 trains with the defaults, --tune-minutes searches. Give one of them.")
    return Limits(trials, minutes)


def make_search(limits: Limits, study: Path, spec: Spec, stage: Stages) -> "Search":
    """Wire a search to the clock, to its file and to the progress bar."""
    from training.search import Search

    end = None if limits.minutes is None else time.monotonic() + 60 * limits.minutes
    if limits.minutes is not None:
        warn("note: a search by minutes depends on the machine's speed; only --trials gives the same bundle again.")

    def tell(finished: int, best: float | None) -> None:
        so_far = "" if best is None else f", best so far {best:,.2f} {spec.currency.code} an application"
        stage.within(finished, limits.trials, f"{finished} candidates{so_far}")

    return Search(
        trials=limits.trials, study=study, keep_going=lambda: end is None or time.monotonic() < end, tell=tell
    )


def say_tuning(evaluation: dict[str, Any]) -> None:
    """Say what a search gained, against its noise."""
    tuning = evaluation["tuning"]
    if tuning is None:
        return
    say(
        f"Tuned with {tuning['trials']} candidates ({tuning['pruned']} pruned, {tuning['infeasible']} infeasible); "
        f"candidate {tuning['winner']}: {tuning['cost']:.2f} an application, {tuning['serving_cost']} trees x depth"
    )
    default = tuning["default"]
    if tuning["winner"] == 0:
        say("  the recipe was kept as it is: no candidate was better, or as good and cheaper to serve")
        return
    if default is None:
        say("  the recipe does not meet the floors, so there is no gain to state")
        return
    say(f"  gain over the recipe, {tuning['folds']} folds of customers: {_gain(default)}")
    say(f"  gain on other folds, which took no part:  {_gain(tuning['other_folds'])}")
    if tuning["fell_back"]:
        say("  the recipe was kept as it is: on the other folds the candidate was worse than noise explains")


def _gain(figure: dict[str, Any]) -> str:
    verdict = ": inside the noise" if figure["inside_the_noise"] else ""
    return f"{figure['gain']:+.3f}, 95 % interval {figure['low']:+.3f} to {figure['high']:+.3f}{verdict}"
