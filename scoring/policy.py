"""The policy: costs in money turn calibrated probabilities into a credit class."""

import tomllib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.errors import BundleError
from features.spec.contract import Spec

__all__ = ["Policy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Costs `costs[actual][assigned]` in `currency`, classes worst first.

    `multiplier` raises the cost of calling another class by the best class's name, to meet floors of precision.
    """

    classes: tuple[str, ...]
    currency: str
    costs: tuple[tuple[float, ...], ...]
    multiplier: float = 1.0

    @classmethod
    def of(cls, spec: Spec, multiplier: float = 1.0) -> "Policy":
        """Make the policy that a spec asks for."""
        return cls(classes=spec.classes, currency=spec.currency.code, costs=spec.costs, multiplier=multiplier)

    def effective_costs(self) -> NDArray[np.float64]:
        """Return the cost matrix (actual x assigned) by which classes are assigned."""
        costs = np.array(self.costs, dtype=np.float64)
        costs[:-1, -1] *= self.multiplier
        return costs

    def expected_costs(self, probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return sum_i p_i * cost[i, j] for each row and assigned class j, added in the order of the classes."""
        costs = self.effective_costs()
        wide = probabilities.astype(np.float64)
        expected = np.zeros(wide.shape)
        for actual in range(len(self.classes)):  # not a matrix product: its order of additions depends on the machine
            expected += wide[:, actual : actual + 1] * costs[actual]
        return expected

    def is_monge(self) -> bool:
        """Tell whether the cheapest class never gets worse as the chances of better classes rise.

        That is so where costs[a][c] + costs[b][d] <= costs[a][d] + costs[b][c] for a worse than b and c worse than d.
        """
        costs = self.effective_costs()
        return bool((costs[:-1, :-1] + costs[1:, 1:] <= costs[:-1, 1:] + costs[1:, :-1] + 1e-9).all())

    def assign(self, probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the index of the cheapest class of each row; ties go to the worse class, which stands first."""
        cheapest: NDArray[np.int64] = np.argmin(self.expected_costs(probabilities), axis=1)
        return cheapest

    def to_toml(self) -> str:
        """Write the policy as `policy.toml`."""
        lines = [
            "# Cost in money of assigning a class (inner name) to an applicant of an actual class (outer name).",
            f'currency = "{self.currency}"',
            f"multiplier = {self.multiplier!r}",
            f"classes = [{', '.join(map(_quoted, self.classes))}]",
            "costs = [",
            *[f"    [{', '.join(map(repr, row))}],  # actual {name}" for name, row in self._rows()],
            "]",
        ]
        return "\n".join(lines) + "\n"

    def _rows(self) -> list[tuple[str, tuple[float, ...]]]:
        return list(zip(self.classes, self.costs, strict=True))

    @classmethod
    def from_toml(cls, text: str) -> "Policy":
        """Read `policy.toml`.

        Raises:
            BundleError: the text is not such a policy.

        """
        try:
            values = tomllib.loads(text)
            policy = cls(
                classes=tuple(map(str, values["classes"])),
                currency=str(values["currency"]),
                costs=tuple(tuple(map(float, row)) for row in values["costs"]),
                multiplier=float(values["multiplier"]),
            )
        except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise BundleError(
                f"policy.toml: not a policy of this release ({type(error).__name__}: {error})."
            ) from error
        if [len(row) for row in policy.costs] != [len(policy.classes)] * len(policy.classes):
            raise BundleError("policy.toml: costs must have one row and one column per class.")
        return policy


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
