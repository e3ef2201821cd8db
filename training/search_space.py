"""What a search may change of each kind of model, and what a candidate costs when it serves."""

from optuna.distributions import FloatDistribution, IntDistribution

from training.fit import ModelKind, Parameters

Space = dict[str, IntDistribution | FloatDistribution]

# No deeper than 6: the tables of exact SHAP values grow with 2^depth, and serving time with trees x depth.
SPACES: dict[ModelKind, Space] = {
    ModelKind.XGBOOST: {
        "rounds": IntDistribution(20, 150, step=10),
        "max_depth": IntDistribution(3, 6),
        "max_leaves": IntDistribution(8, 32),
        "learning_rate": FloatDistribution(0.03, 0.4, log=True),
        "min_child_weight": FloatDistribution(0.5, 100, log=True),
        "subsample": FloatDistribution(0.5, 1),
        "colsample_bytree": FloatDistribution(0.3, 1),
        "reg_lambda": FloatDistribution(0.1, 100, log=True),
    },
    ModelKind.RANDOM_FOREST: {
        "n_estimators": IntDistribution(20, 200, step=20),
        "max_depth": IntDistribution(3, 6),
        "min_samples_leaf": IntDistribution(2, 200, log=True),
        "max_features": FloatDistribution(0.1, 1),
    },
    ModelKind.DECISION_TREE: {
        "max_depth": IntDistribution(2, 6),
        "min_samples_leaf": IntDistribution(5, 500, log=True),
    },
}


def serving_cost(kind: ModelKind, parameters: Parameters, classes: int) -> int:
    """Return trees x depth, which the time to score one row follows."""
    trees = {
        ModelKind.XGBOOST: classes * int(parameters.get("rounds", 0)),
        ModelKind.RANDOM_FOREST: int(parameters.get("n_estimators", 0)),
        ModelKind.DECISION_TREE: 1,
    }
    return trees[kind] * int(parameters["max_depth"])
