"""The spec: the declared contract between data and model, as frozen records.

`features.spec.file.parse_spec` makes one from TOML; nothing else should build these records in production code.
"""

from dataclasses import dataclass
from enum import StrEnum

from features.dialect import Dialect, InstantForms
from features.spec.weights_part import Weights

__all__ = [
    "EVENT_COLUMNS",
    "IDENTITY",
    "MICROSECONDS_PER_DAY",
    "Attribute",
    "Currency",
    "Feature",
    "Floors",
    "Monetary",
    "RfmGroup",
    "ScoreScaling",
    "Spec",
    "probability_column",
]

MICROSECONDS_PER_DAY = 86_400_000_000
IDENTITY = ("application_id", "customer_id", "as_of")
EVENT_COLUMNS = ("customer_id", "occurred_at", "kind", "amount")


class Monetary(StrEnum):
    """What is computed from the amounts of a group of events in a window."""

    SUM = "sum"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    STANDARD_DEVIATION = "std"
    SHARE = "share"


@dataclass(frozen=True, slots=True, kw_only=True)
class Currency:
    """ISO 4217 code and the number of decimals of the smallest unit (2 for cents)."""

    code: str
    minor_digits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """A fact stated with the application or by a bureau.

    `kind` is one of `features.cells.KINDS`, `options` are keys that only that kind knows. `version` is the spec's,
    `decimal` the sign before the decimals of its numbers as text. `direction` is 1 where more is better for the
    applicant, -1 where less is, 0 where nothing is said: see `features.spec.directions`. From `never_worse_from` on all
    values count alike, and none counts worse than a lower one; None: no such rule.
    """

    name: str
    kind: str
    unit: str
    description: str
    required: bool
    minimum: float | None
    maximum: float | None
    values: tuple[str, ...]
    ordered: bool
    missing_tokens: tuple[str, ...]
    strip: str
    currency: Currency
    version: int = 1
    decimal: str = "."
    options: tuple[tuple[str, str | int], ...] = ()
    direction: int = 0
    never_worse_from: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RfmGroup:
    """A group of event kinds and what is measured of it, in windows (days) that end at `as_of` (exclusive).

    `direction` as of an attribute; `flow` is 1 where its money comes in, -1 where it goes out, 0 where not stated.
    """

    name: str
    kinds: tuple[str, ...]
    windows_days: tuple[int, ...]
    description: str
    unit: str
    recency: bool
    frequency: bool
    monetary: tuple[Monetary, ...]
    trend_days: tuple[int, int] | None
    direction: int = 0
    flow: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreScaling:
    """Scorecard scaling: `base_score` points at odds `base_odds` of (1 - p_worst) : p_worst."""

    base_score: float
    base_odds: float
    points_to_double_odds: float
    minimum: int = 300
    maximum: int = 850


@dataclass(frozen=True, slots=True, kw_only=True)
class Floors:
    """Least precision and recall of the best class that the chosen policy must reach; None: no floor."""

    precision: float | None
    recall: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One column of the feature matrix."""

    name: str
    unit: str
    description: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the owner states for the report and the model card; empty where it is not stated."""

    owner: str
    purpose: str
    not_for: str
    data: str
    limits: str
    monitoring: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonTexts:
    """What an applicant is told where a value that spoke against them is high, low (against the median) or missing.

    Where none could be used although one was given: `unusable`, and `codes` by missing token; `missing` where these say
    nothing.
    """

    high: str
    low: str
    missing: str
    unusable: str | None = None
    codes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonCode:
    """A reason for which applications are turned down.

    `members` select features: an attribute, an RFM group, one feature, or, with a * at the end, the beginning of their
    names. `exceptions` are texts of members that read differently, by selector.
    """

    code: str
    members: tuple[str, ...]
    texts: ReasonTexts
    exceptions: tuple[tuple[str, ReasonTexts], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """The whole contract. `costs[actual][assigned]` is money in `currency`, in the order of `classes`.

    `version` is 1 or 2: the rules that came with version 2 hold for specs that state it, so that a spec of version 1
    keeps its bits. `language` is that of the texts of `reasons`, as in HTML (en, de-CH). `pii` names ids and text
    attributes that the decision log stores keyed. `csv` says how CSV files are written, `weights` what examples count
    in training.
    """

    name: str
    classes: tuple[str, ...]
    currency: Currency
    attributes: tuple[Attribute, ...]
    event_kinds: tuple[str, ...]
    ignored_kinds: tuple[str, ...]
    groups: tuple[RfmGroup, ...]
    costs: tuple[tuple[float, ...], ...]
    floors: Floors
    scaling: ScoreScaling
    language: str
    reasons: tuple[ReasonCode, ...]
    text: str
    about: About
    version: int = 1
    decimal: str = "."
    pii: tuple[str, ...] = ()
    csv: Dialect = Dialect()  # noqa: RUF009 - frozen
    instants: InstantForms = InstantForms()  # noqa: RUF009 - frozen
    weights: Weights = Weights()  # noqa: RUF009 - frozen

    def __hash__(self) -> int:
        """Hash the text that everything else was parsed from: specs are keys of caches that each message asks."""
        return hash(self.text)

    @property
    def best_class(self) -> str:
        """The positive class, the last of `classes`."""
        return self.classes[-1]

    @property
    def probability_columns(self) -> tuple[str, ...]:
        """`p_poor`, `p_standard`, `p_good`: one per class, worst first."""
        return tuple(probability_column(name) for name in self.classes)


def probability_column(class_name: str) -> str:
    """Name the decision column that holds the probability of a class: `p_good` for Good."""
    return "p_" + class_name.lower().replace(" ", "_")
