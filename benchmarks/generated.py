"""Twelve invented credit books: small and large, linear, stepped, interacting, noisy. The same bits each time."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.data import Examples

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Book:
    """`rows` applications with `features` columns, shares of the classes (worst first), and what makes them pay."""

    rows: int
    features: int
    shares: tuple[float, ...]
    score: Callable[[Floats], Floats]
    noise: float = 1.0
    missing: float = 0.0


def _linear(x: Floats) -> Floats:
    found: Floats = x[:, :5] @ np.array([1.0, -0.8, 0.6, 0.4, 0.2])
    return found


def _stepped(x: Floats) -> Floats:
    found: Floats = 1.5 * (x[:, 0] > 0.3) - 1.2 * (x[:, 1] < -0.5)
    found += 0.8 * (np.abs(x[:, 2]) > 1) + 0.5 * np.sign(x[:, 3])
    return found


def _interacting(x: Floats) -> Floats:
    return x[:, 0] * x[:, 1] + np.where(x[:, 2] > 0, x[:, 3], -x[:, 4]) + 0.5 * x[:, 5]


BOOKS = {
    "few defaults, linear": Book(392, 20, (35 / 392, 357 / 392), _linear),
    "few defaults, stepped": Book(690, 14, (0.12, 0.88), _stepped),
    "small, linear": Book(1_000, 20, (0.3, 0.7), _linear, 1.5),
    "small, interacting": Book(1_000, 20, (0.3, 0.7), _interacting),
    "three classes, small": Book(1_500, 20, (0.15, 0.35, 0.5), _linear, 1.0, 0.1),
    "stepped, missing": Book(4_000, 25, (0.25, 0.75), _stepped, 1.0, 0.2),
    "noisy": Book(6_000, 30, (0.2, 0.8), _linear, 4.0),
    "three classes, interacting": Book(10_000, 30, (0.2, 0.4, 0.4), _interacting),
    "rare defaults": Book(25_000, 30, (0.017, 0.983), _stepped, 1.5, 0.1),
    "wide": Book(12_000, 110, (0.2, 0.8), _interacting, 1.0, 0.1),
    "large, interacting": Book(60_000, 20, (0.2, 0.8), _interacting, 1.5),
    "largest, linear": Book(150_000, 10, (0.067, 0.933), _linear, 2.0, 0.05),
}


def generate(book: Book, seed: int, size: float = 1.0) -> Examples:
    """Draw a book; `size` below 1 draws fewer rows, at least 120."""
    generator = np.random.default_rng(seed)
    rows = max(120, round(book.rows * size))
    x = generator.normal(size=(rows, book.features))
    x[:, 6] = np.rint(np.exp(x[:, 6]))  # a count
    latent = book.score(x) + book.noise * generator.logistic(size=rows) * 0.6
    order = np.argsort(np.argsort(latent)) / rows
    actual = np.searchsorted(np.cumsum(book.shares)[:-1], order, side="right")
    x[generator.random(x.shape) < book.missing] = np.nan
    numbers = np.arange(rows)
    return Examples(matrix=x.astype(np.float32), actual=actual, customers=numbers, as_of=np.zeros_like(numbers))
