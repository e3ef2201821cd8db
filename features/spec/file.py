"""Read a spec from TOML. Every error names the key that is wrong, what was expected and what to do."""

import re
import tomllib
from collections.abc import Callable
from typing import TypeVar

from features.errors import SpecError
from features.matrix import list_features
from features.reason_codes import assign_reasons, read_language, read_reasons
from features.spec.about import read_about
from features.spec.attributes import check_reachable, read_attribute, read_defaults
from features.spec.classes import NAME, read_classes
from features.spec.contract import (
    IDENTITY,
    Currency,
    ScoreScaling,
    Spec,
)
from features.spec.direction_words import with_directions
from features.spec.directions import check_directions
from features.spec.groups import read_group
from features.spec.local import read_csv, read_instant_forms
from features.spec.pii import check_pii
from features.spec.policy_part import read_costs, read_floors
from features.spec.toml_table import Table, errors_of
from features.spec.weights_part import read_weights

__all__ = ["parse_spec"]

SPEC_VERSION = 2  # that drafts and recipes write
_READABLE = (1, SPEC_VERSION)
_KEYS = (
    *("spec_version", "name", "classes", "currency", "missing", "attributes", "events", "rfm", "policy", "score"),
    *("language", "reasons", "about", "pii", "csv", "as_of_format", "time_zone", "directions"),
)
_KEYS_OF_2 = (*_KEYS, "decimal", "weights")
_RESERVED = {*IDENTITY}
_Member = TypeVar("_Member")


def parse_spec(text: str, source: str = "spec.toml") -> Spec:
    """Parse and validate a spec. `source` is named in errors.

    Raises:
        SpecError: the text is not TOML, or a key is missing, unknown, of the wrong type or contradicts another.

    """
    with errors_of(source):
        return _spec(Table("", tomllib.loads(text)), text)


def _spec(root: Table, text: str) -> Spec:
    version = root.integer("spec_version", 0, 2**31)
    if version not in _READABLE:
        raise SpecError(f"spec_version: this release reads versions 1 and {SPEC_VERSION}, found {version}.")
    root.allow(_KEYS if version == 1 else _KEYS_OF_2)
    classes, currency = read_classes(root, version, text), _currency(root.table("currency"))
    defaults = read_defaults(root, version, currency)
    kinds, ignored = _event_kinds(root.table("events", optional=True))
    attributes = _members(root, "attributes", lambda name, table: read_attribute(name, table, defaults))
    spec = Spec(
        version=version,
        decimal=defaults.decimal,
        name=root.text("name"),
        classes=classes,
        currency=currency,
        attributes=attributes,
        event_kinds=kinds,
        ignored_kinds=ignored,
        groups=_members(root, "rfm", lambda name, table: read_group(name, table, kinds, version)),
        costs=read_costs(root.table("policy"), classes),
        floors=read_floors(root.table("policy")),
        scaling=_scaling(root.table("score")),
        language=read_language(root),
        reasons=read_reasons(root),
        text=text,
        about=read_about(root.table("about", optional=True)),
        pii=root.texts("pii", ()),
        csv=read_csv(root, version),
        instants=read_instant_forms(root, version),
        weights=read_weights(root, version, classes, [attribute.name for attribute in attributes]),
    )
    spec = with_directions(spec, root)
    check_pii(spec)
    _check_features([feature.name for feature in list_features(spec)])
    assign_reasons(spec)
    check_directions(spec)
    return spec


def _check_features(names: list[str]) -> None:
    if not names:
        raise SpecError("attributes: no attribute and no rfm group makes a feature, so there is nothing to score on.")
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise SpecError(f"attributes and rfm: both make a feature {', '.join(doubled)}. Rename one of them.")


def _currency(table: Table) -> Currency:
    table.allow(["code", "minor_digits"])
    if not re.fullmatch("[A-Z]{3}", table.text("code")):
        raise SpecError(f"{table.key('code')}: expected three capital letters, as in EUR.")
    return Currency(code=table.text("code"), minor_digits=table.integer("minor_digits", 0, 4))


def _members(root: Table, section: str, make: Callable[[str, Table], _Member]) -> tuple[_Member, ...]:
    tables = root.table(section, optional=True)
    for name in tables.values:
        if not is_usable_name(name):
            raise SpecError(
                f"{tables.key(name)}: not usable as a name. Expected up to 99 characters without = , | or quotes, not "
                f"beginning with ^ or *, and none of {', '.join(sorted(_RESERVED))}."
            )
    return tuple(make(name, tables.table(name)) for name in tables.values)


def is_usable_name(name: str) -> bool:
    """Tell whether an attribute or a group may have this name."""
    return bool(NAME.fullmatch(name)) and name not in _RESERVED


def _event_kinds(table: Table) -> tuple[tuple[str, ...], tuple[str, ...]]:
    table.allow(["kinds", "ignored", "occurred_at_format", "recorded_at_format"])
    kinds, ignored = table.texts("kinds", ()), table.texts("ignored", ())
    doubled = sorted({k for k in (*kinds, *ignored) if (*kinds, *ignored).count(k) > 1})
    if doubled:
        raise SpecError(f"events.kinds: {', '.join(doubled)} appears twice; a kind is used or ignored, once.")
    check_reachable(table.key("kinds"), (*kinds, *ignored), "")
    return kinds, ignored


def _scaling(table: Table) -> ScoreScaling:
    table.allow(["base_score", "base_odds", "points_to_double_odds"])
    scaling = ScoreScaling(
        base_score=table.number("base_score"),
        base_odds=table.number("base_odds"),
        points_to_double_odds=table.number("points_to_double_odds"),
    )
    if scaling.base_odds <= 0 or scaling.points_to_double_odds <= 0:
        raise SpecError(f"{table.path}: base_odds and points_to_double_odds must be greater than 0.")
    return scaling
