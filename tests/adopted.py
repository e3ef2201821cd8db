"""A notebook on our feature matrix: what a modeller has there, for the tests of adopted models."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
import xgboost
from numpy.typing import NDArray

from features.matrix import FeatureTable, build_features, list_features
from features.spec.contract import Spec
from recipes.dataset import Dataset
from training.data import TrainingData


@dataclass(frozen=True)
class Notebook:
    dataset: Dataset
    spec: Spec

    @property
    def data(self) -> TrainingData:
        return TrainingData(self.dataset.applications, self.dataset.events, self.dataset.labels)

    @cached_property
    def table(self) -> FeatureTable:
        return build_features(self.dataset.applications, self.dataset.events, self.spec)

    @property
    def x(self) -> NDArray[np.float32]:
        return self.table.matrix

    @cached_property
    def y(self) -> NDArray[np.int64]:
        labels = self.table.applications.join(self.dataset.labels, on="application_id", maintain_order="left")
        return np.array([self.spec.classes.index(name) for name in labels["credit_class"]])

    @property
    def names(self) -> list[str]:
        return [feature.name for feature in list_features(self.spec)]

    def booster(self, rounds: int = 12, **parameters: object) -> xgboost.Booster:
        defaults = {"objective": "multi:softprob", "num_class": 3, "max_depth": 4, "seed": 1, "nthread": 1}
        chosen = {name: value for name, value in {**defaults, **parameters}.items() if value is not None}
        return xgboost.train(chosen, xgboost.DMatrix(self.x, label=self.y), rounds)

    def predictions(self, probabilities: NDArray[np.floating], columns: list[str] | None = None) -> pl.DataFrame:
        ids = self.table.applications["application_id"]
        return pl.DataFrame({"application_id": ids}).hstack(
            pl.DataFrame(probabilities, schema=columns or list(self.spec.classes), orient="row")
        )


def saved(booster: xgboost.Booster, folder: Path, suffix: str = "json") -> Path:
    booster.save_model(folder / f"model.{suffix}")
    return folder / f"model.{suffix}"
