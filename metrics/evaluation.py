"""How a model was judged: a frozen record, read and written with the manifest.

What holds for one origin only cannot be said of the other: a model that was trained elsewhere has no training rows, no
search and no folds here, and whether it had seen the judged customers is its owner's word.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from features.errors import BundleError
from metrics.sentences import sentences


class Origin(StrEnum):
    """Where a model comes from."""

    TRAINED_HERE = "trained here"
    ADOPTED = "adopted"


class Protocol(StrEnum):
    """Whose applications judge a model."""

    CROSS_FITTED = "cross-fitted"  # each fold by models of the same recipe that had not seen its customers
    HOLDOUT = "holdout"  # a share of the customers, never trained on
    HALVES = "halves"  # adopted: half of the owner's data calibrates, the other half judges
    SPLIT = "split"  # releases before cross-fitting: 65 % train, 15 % calibrate, 20 % judge


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """How a model was judged and what came of it; `judged` and `later` hold `policy`, `argmax` and so on.

    `rows` are counts of applications by use. `given`: other applications than those of the export were judged, in a
    report or for a policy that was set afterwards. `later`: out of time, None if there is one period or the policy was
    changed since. `folds` and `tuning` are None for an adopted model. `policy_changed` says how the figures of a policy
    that was set afterwards were made.
    """

    origin: Origin
    protocol: Protocol
    seed: int
    rows: Mapping[str, int]
    rejected: int
    judged: Mapping[str, Any]
    later: Mapping[str, Any] | None
    folds: int | None = None
    tuning: Mapping[str, Any] | None = None
    policy_changed: str | None = None
    given: bool = False

    @classmethod
    def of_manifest(cls, manifest: Mapping[str, Any], where: str) -> "Evaluation":
        """Read the evaluation of a manifest of any format. `where` stands in messages.

        Raises:
            BundleError: the manifest has none, or one that is not complete.

        """
        try:
            return cls.of_facts(manifest["evaluation"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BundleError(
                f"{where}: the manifest states no complete evaluation (found no usable {error}). It was changed after "
                "the export; publish the bundle again."
            ) from error

    @classmethod
    def of_facts(cls, found: Mapping[str, Any]) -> "Evaluation":
        """Read the `evaluation` of a manifest; raises what its content raises where it is not complete."""
        rows = {name: int(count) for name, count in found["rows"].items()}
        protocol = Protocol(found.get("protocol", Protocol.SPLIT if "train" in rows else Protocol.HALVES))
        adopted = protocol is Protocol.HALVES
        judged, later = found["held_out_customers"], found["held_out_customers_and_later"]
        for part in (judged, later):
            if part is not None or part is judged:
                _check(part)
        return cls(
            origin=Origin(found.get("origin", Origin.ADOPTED if adopted else Origin.TRAINED_HERE)),
            protocol=protocol,
            seed=int(found["seed"]),
            rows=rows,
            rejected=int(found["rejected_applications"]),
            judged=judged,
            later=later,
            folds=found.get("folds") if protocol is Protocol.CROSS_FITTED else None,
            tuning=None if adopted else found["tuning"],
            policy_changed=found.get("policy_changed"),
            given=bool(found.get("given", False)),
        )

    @property
    def policy(self) -> dict[str, Any]:
        """The evaluation of the published policy."""
        found: dict[str, Any] = self.judged["policy"]
        return found

    @property
    def metrics(self) -> dict[str, Any]:
        """The policy's metrics by name."""
        found: dict[str, Any] = self.policy["metrics"]
        return found

    def sentences(self, classes: tuple[str, ...], currency: str) -> Iterator[str]:
        """Yield how good the model is, in plain sentences."""
        yield from sentences({"against": self._against(), **self.policy}, classes, currency)

    def _against(self) -> dict[str, Any]:
        """Compare costs without an interval, where a release before paired comparisons judged the model."""
        costs = {name: part["metrics"].get("expected_cost", {}).get("value") for name, part in self.judged.items()}
        own = costs["policy"]
        return {
            name: {"of": "expected_cost", "gain": costs[name] - own, "low": None, "high": None}
            for name in ("approve_all", "argmax")
            if own is not None and costs.get(name) is not None
        }

    @property
    def judged_on(self) -> str:
        """Whose applications were judged, as a part of a sentence."""
        if self.given:
            return "applications that were given afterwards"
        return {
            Protocol.CROSS_FITTED: "all customers of the training data, each by models that had not seen it",
            Protocol.HOLDOUT: "customers of the training data who were held out: nothing was fitted on them",
            Protocol.HALVES: "one half of the customers of the owner's data; the other half calibrated",
            Protocol.SPLIT: "customers of the training data that the model never saw",
        }[self.protocol]

    @property
    def how(self) -> str:
        """How the figures came about and what they are figures of, in a sentence or two."""
        if self.given:
            return "Figures come from the published model on applications that were given after it was made."
        return {
            Protocol.CROSS_FITTED: (
                f"Figures come from {self.folds} models of the same recipe, each judged on customers it had not seen; "
                "the published model was then fitted on all customers and was itself judged on none."
            ),
            Protocol.HOLDOUT: (
                "Figures come from the published model on customers who were held out: neither the model, nor its "
                "calibration, nor the policy had seen them."
            ),
            Protocol.HALVES: (
                "The model was trained elsewhere. Half of the customers of the data that its owner gave calibrated it "
                "and chose the policy, the other half judged it; whether the model had seen either is not known here."
            ),
            Protocol.SPLIT: (
                "Figures come from the published model on a fifth of the customers, who took no part in fitting, "
                "calibration or the choice of the policy."
            ),
        }[self.protocol]

    @property
    def calibrated_on(self) -> str:
        """What the calibration and the policy saw, as a part of a sentence."""
        return {
            Protocol.CROSS_FITTED: "all customers of the training data, each as models stated it that had not seen it",
            Protocol.HOLDOUT: "the customers who were not held out, each as models stated it that had not seen it",
            Protocol.HALVES: "one half of the customers of the data that its owner gave",
            Protocol.SPLIT: "customers of their own, 15 % of those of the training data",
        }[self.protocol]

    @property
    def parameters(self) -> str:
        """Where the parameters of the model come from, if no search was run here."""
        if self.origin is Origin.ADOPTED:
            return "Parameters and their search are its owner's, not known here: the model was trained elsewhere."
        if self.protocol is Protocol.SPLIT:
            return "Parameters: the defaults of the release that trained it; no search was run."
        return "The recipe was used as it is; docs/model.md says how it was found. `--trials` searches around it."

    @property
    def sides(self) -> dict[str, str]:
        """Name the sides of the data by what they were used for."""
        if self.protocol is Protocol.CROSS_FITTED:
            own = {"train": "fitted, calibrated and judged, by folds"}
            return {**own, "test": "given and judged"} if self.given else own
        return {"train": "training", "calibration": "calibration and policy", "test": "judged"}


def _check(part: Mapping[str, Any]) -> None:
    """Check that an evaluation can be spoken of; raises what reading it would raise."""
    for name in ("policy", "argmax", "majority_class"):
        own = part[name]
        _ = int(own["applications"]), int(own["customers"]), sum(sum(row.values()) for row in own["confusion"].values())
        if not own["metrics"]:
            raise ValueError("metrics")
        for figure in own["metrics"].values():
            _ = figure["value"], figure["low"], figure["high"]
