"""What a report and a model card are made of."""

from dataclasses import dataclass
from typing import Any

from features.spec.contract import Spec
from metrics import Evaluation, column_tells
from scoring.policy import Policy

__all__ = ["Content", "verdict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The facts of a manifest (name, model, evaluation, parity, libraries ...), figures and, if asked for, fairness.

    `trials` is the table of a search.
    """

    facts: dict[str, Any]
    spec: Spec
    policy: Policy
    figures: dict[str, Any]
    trials: tuple[dict[str, Any], ...] = ()
    fairness: dict[str, Any] | None = None

    @property
    def evaluation(self) -> Evaluation:
        """How the model was judged."""
        return Evaluation.of_facts(self.facts["evaluation"])

    @property
    def metrics(self) -> dict[str, Any]:
        """The policy's metrics."""
        return self.evaluation.metrics

    @property
    def currency(self) -> str:
        """The code of the currency of costs."""
        return self.policy.currency


def verdict(content: Content) -> list[str]:
    """Say how good the model is, whether the data can tell, and whether a feature tells the class by itself."""
    alone = (content.figures.get("leaks") or {}).get("telling", [])
    return [*content.evaluation.sentences(content.spec.classes, content.currency), *column_tells(alone)]


def purpose(content: Content) -> tuple[list[str], list[str]]:
    """Say what the model is for and what it is not for."""
    spec, about = content.spec, content.spec.about
    classes = ", ".join(spec.classes)
    meant = [
        about.purpose or "Not stated by the owner: set about.purpose in the spec.",
        (
            f"Classifies applications for credit as {classes} (worst first), at the instant of the application, "
            f"from {len(spec.attributes)} attributes and {len(spec.groups)} groups of account events."
        ),
        (
            f"The class is the one of least expected cost in {content.currency}; every decision below "
            f"{spec.best_class} carries reasons."
        ),
    ]
    not_meant = [
        *([about.not_for] if about.not_for else []),
        "Not for another product, country or channel than the training data came from, before it is judged on it.",
        "Not for prices, limits or amounts: it states classes and probabilities of classes, no losses.",
        (
            "Not for applications whose attributes mean something else than the spec says, and not for collections, "
            "fraud, marketing or employment."
        ),
        "No sole judge: a person must be able to review a refusal and to overrule it.",
    ]
    return meant, not_meant
