"""`explain/reasons.json`: code, texts and reference median of every feature, in the order of the matrix."""

import json
from dataclasses import asdict, dataclass

from features.errors import BundleError

_STATES = ("high", "low", "missing")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureEntry:
    """What is said about one feature.

    `median` is that of the applicants rated the best class, to four significant digits, None where all were missing. A
    value above it reads as high, below it as low. `against` holds the states (of high, low, missing) that speak against
    an applicant; in another state the feature is never named. Books of format 2 have None there: their median
    is that of all applicants, every state may be named, and a value at the median reads as `at_median` says.

    `unusable` is said where a value was given that cannot be used, and `codes` in the order of their marks (see
    `features.why_missing`) where one of these missing tokens was given. Features of events have neither, nor have
    books that were made before: there `missing` stands for all.
    """

    feature: str
    code: str
    high: str
    low: str
    missing: str
    median: float | None
    at_median: str
    against: tuple[str, ...] | None = None
    unusable: str | None = None
    codes: tuple[tuple[str, str], ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """Return all that may be said: high, low, then without a value by its mark: missing, unusable, each code."""
        unusable = self.missing if self.unusable is None else self.unusable
        return (self.high, self.low, self.missing, unusable, *[text for _, text in self.codes])


@dataclass(frozen=True, slots=True)
class ReasonBook:
    """The dictionary of a bundle; `language` is that of the texts, as in HTML, `unit` that of contributions.

    The unit is log-odds (calibrated, of the assigned against the best class) or probability (their difference, before
    calibration). `put_right`: a first reason is given only if putting its features right raises what is explained;
    books that were made before do not ask that.
    """

    language: str
    unit: str
    entries: tuple[FeatureEntry, ...]
    put_right: bool = False

    @property
    def medians(self) -> dict[str, float]:
        """Return the reference median of each feature that has one."""
        return {entry.feature: entry.median for entry in self.entries if entry.median is not None}

    def to_json(self) -> dict[str, object]:
        """Return what `from_bytes` reads."""
        features = [{**asdict(entry), "codes": dict(entry.codes)} for entry in self.entries]
        for entry in features:
            for key, nothing in (("against", None), ("unusable", None), ("codes", {})):
                if entry[key] == nothing:
                    del entry[key]
        asked = {"put_right": True} if self.put_right else {}
        return {"language": self.language, "unit": self.unit, **asked, "features": features}

    @property
    def directed(self) -> bool:
        """Whether features are named only for values that speak against the applicant in their own direction."""
        return all(entry.against is not None for entry in self.entries)

    @property
    def tells_unusable(self) -> bool:
        """Whether a value that was given and cannot be used has words of its own, so that rows say which ones are."""
        return any(entry.unusable is not None for entry in self.entries)

    @classmethod
    def from_bytes(cls, content: bytes, name: str, features: list[str]) -> "ReasonBook":
        """Read JSON. `name` stands in messages, `features` are those of the spec.

        Raises:
            BundleError: not such a dictionary, or one of other features.

        """
        try:
            values = json.loads(content)
            entries = tuple(_entry(value) for value in values["features"])
            book = cls(str(values["language"]), str(values["unit"]), entries, bool(values.get("put_right")))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise BundleError(f"{name}: not a dictionary of this release. Publish the bundle again.") from error
        if [entry.feature for entry in book.entries] != features:
            raise BundleError(f"{name}: its features are not those of the spec. Publish the bundle again.")
        return book


def _entry(value: dict[str, object]) -> FeatureEntry:
    median = value["median"]
    texts = {key: value[key] for key in ("feature", "code", *_STATES, "at_median")}
    if not all(isinstance(text, str) for text in texts.values()) or value["at_median"] not in _STATES[:2]:
        raise ValueError
    if median is not None and not isinstance(median, (int, float)):
        raise ValueError
    against = value.get("against")
    if against is not None and not (isinstance(against, list) and set(against) <= set(_STATES)):
        raise ValueError
    unusable, codes = value.get("unusable"), value.get("codes", {})
    if not isinstance(unusable, str | None) or not (
        isinstance(codes, dict) and all(isinstance(text, str) for text in codes.values())
    ):
        raise ValueError
    return FeatureEntry(
        **texts,  # type: ignore[arg-type]
        median=None if median is None else float(median),
        against=None if against is None else tuple(against),
        unusable=unusable,
        codes=tuple(sorted(codes.items())),
    )
