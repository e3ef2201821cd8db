"""Take a model that was trained elsewhere on our feature matrix: calibrate it, choose the policy, evaluate it."""

from collections.abc import Sequence

import numpy as np

from features.errors import InputError
from features.matrix import FeatureTable, list_features
from features.spec.contract import Spec
from training.choose_policy import choose_policy
from training.class_order import check_class_order
from training.data import Examples, Split, check_no_leak
from training.evaluate.judged import evaluate_judged, judge
from training.fit.calibrate import fit_calibration
from training.fit.candidate import Fit
from training.fit.fit import Fitted
from training.run import Trained, fingerprint

__all__ = ["adopt", "check_columns", "halves"]


def adopt(model: Fitted, examples: Examples, table: FeatureTable, spec: Spec, *, seed: int = 0) -> Trained:
    """Calibrate on half of the customers of the data and evaluate on the other half. None should be known to the model.

    `examples` and `table` are what `label_examples` makes of the data.

    Raises:
        ExportError: the model's classes are clearly in another order than the spec's.
        SpecError: no policy meets the floors.

    """
    check_class_order(model.margins(examples.matrix), examples, spec)
    split = halves(examples, seed)
    learned = split.calibration
    margins = model.margins(learned.matrix)
    calibration = fit_calibration(margins, learned.actual, learned.weights)
    stated = calibration.probabilities(margins).astype(np.float32)
    policy = choose_policy(spec, stated, learned.actual, learned.weights)
    judged = judge(Fit(model, calibration, policy), split, spec)
    evaluation = {
        "seed": seed,
        "protocol": "halves",
        "rows": {"calibration": len(split.calibration), "test": len(split.test)},
        "rejected_applications": int((table.rejects["table"] == "applications").sum()),
        "held_out_customers": evaluate_judged(judged),
        "tuning": None,
        "held_out_customers_and_later": None,
    }
    return Trained(
        spec=spec,
        model=model,
        calibration=calibration,
        policy=policy,
        evaluation=evaluation,
        features=table,
        fingerprint=fingerprint(examples),
        split=split,
        judged=judged,
    )


def check_columns(names: Sequence[str] | None, count: int, spec: Spec) -> None:
    """Check that a model's columns are those of the feature matrix.

    Raises:
        InputError: other names, another order or another number; names the first difference.

    """
    expected = [feature.name for feature in list_features(spec)]
    if count != len(expected):
        raise InputError(
            f"the model takes {count} columns, the spec makes {len(expected)}. Train it on the matrix that "
            "`credit features --spec ... --out` writes, without the first three columns."
        )
    for i, (found, wanted) in enumerate(zip(names or expected, expected, strict=True)):
        if found != wanted:
            raise InputError(
                f"the model's column {i + 1} is {found!r}, the spec's {wanted!r}. Keep the matrix's order."
            )


def halves(examples: Examples, seed: int) -> Split:
    """Give half of the customers to calibration and half to the test."""
    customers = np.unique(examples.customers)
    np.random.default_rng(seed).shuffle(customers)
    calibration = np.isin(examples.customers, customers[: len(customers) // 2])
    nobody = np.zeros(len(examples), dtype=bool)
    split = Split(examples.only(nobody), examples.only(calibration), examples.only(~calibration))
    check_no_leak(split)
    return split
