"""JSON Schema of the application as a message, made from the spec, and of the decision; with an example."""

from collections.abc import Mapping
from typing import Any

from features.cells import NUMBER, kind_of
from features.cells.instants import TEXT
from features.reason_codes import LONGEST_TEXT
from features.spec.contract import IDENTITY, Attribute, Monetary, Spec
from scoring.message.decoder import SCHEMA_VERSION
from scoring.reasons.explainer import MOST_REASONS

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_INSTANT = {
    "type": "string",
    "pattern": TEXT,
    "description": "RFC 3339, as in 2026-08-31T00:00:00Z; without an offset UTC; a date means 00:00 UTC; 1970 to 2199",
}
_SEEN = {
    "type": "object",
    "additionalProperties": False,
    "description": "the event that the decision must have seen, by its place in the topic of events",
    "required": ["partition", "offset"],
    "properties": {"partition": {"type": "integer", "minimum": 0}, "offset": {"type": "integer", "minimum": 0}},
}
_ID = {"type": "string", "minLength": 1, "maxLength": 256}


def application_schema(
    spec: Spec, medians: Mapping[str, float] | None = None, *, history: bool = False
) -> dict[str, Any]:
    """Return the schema of an application of this spec, with an example as `example_application` makes it.

    A cell that breaks an optional attribute is dirt, no error. `history`: events may lack, they are looked up.
    """
    looks_up = history and bool(spec.groups)
    attributes = {attribute.name: _attribute(attribute) for attribute in spec.attributes}
    return {
        "$schema": _DIALECT,
        "title": f"Application for {spec.name}",
        "type": "object",
        "additionalProperties": False,
        "required": [*IDENTITY, "attributes", *([] if looks_up or not spec.groups else ["events"])],
        "properties": {
            "schema_version": {"const": SCHEMA_VERSION},
            "application_id": _ID,
            "customer_id": _ID,
            "as_of": _instant(spec.instants.as_of),
            "attributes": {
                "type": "object",
                "additionalProperties": False,
                "required": [attribute.name for attribute in spec.attributes if attribute.required],
                "properties": attributes,
            },
            "events": {
                "type": "array",
                "description": "all events of the customer that may count"
                + ("; absent: those of the history store" if looks_up else ""),
                "items": _event(spec),
            },
            **({"history": _SEEN} if looks_up else {}),
        },
        "examples": [example_application(spec, medians)],
    }


def event_schema(spec: Spec) -> dict[str, Any]:
    """Return the schema of a message of the topic of events, which fills a history store. Other fields are allowed."""
    event = _event(spec)
    return {
        "$schema": _DIALECT,
        "title": f"Account event for {spec.name}",
        "type": "object",
        "required": ["customer_id", *event["required"]],
        "properties": {"schema_version": {"const": SCHEMA_VERSION}, "customer_id": _ID, **event["properties"]},
    }


def _event(spec: Spec) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["occurred_at", "kind", "amount"],
        "properties": {
            "occurred_at": _instant(spec.instants.occurred_at),
            "kind": {"type": "string", "enum": [*spec.event_kinds, *spec.ignored_kinds]},
            "amount": {
                "type": ["number", "string"],
                "pattern": NUMBER,
                "description": f"{spec.currency.code}, at most {spec.currency.minor_digits} decimals; + in, - out",
            },
            "recorded_at": _recorded_at(spec.instants.recorded_at),
        },
    }


def _instant(form: str) -> dict[str, Any]:
    """Describe an instant; of a form that the spec declares a pattern could not tell the days that exist."""
    return {"type": "string", "description": f"{_INSTANT['description']}; or {form}"} if form else _INSTANT


def _recorded_at(form: str) -> dict[str, Any]:
    described = _instant(form) | {"type": ["string", "null"]}
    return described if form else described | {"pattern": f"^$|{TEXT}"}


def _attribute(attribute: Attribute) -> dict[str, Any]:
    words = [attribute.description, attribute.kind, kind_of(attribute).describe(attribute)]
    bounds = (attribute.minimum, attribute.maximum)
    if any(bound is not None for bound in bounds):
        words.append(
            f"{'' if bounds[0] is None else f'{bounds[0]:.15g}'} to {'' if bounds[1] is None else f'{bounds[1]:.15g}'}"
        )
    if attribute.values:
        words.append(f"of {', '.join(attribute.values)}")
    takes_booleans = attribute.version > 1 and kind_of(attribute).takes_booleans
    types = ["number", "string", *(["boolean"] if takes_booleans else []), *([] if attribute.required else ["null"])]
    return {
        "type": types,
        "description": "; ".join(word for word in words if word),
    }


def example_application(spec: Spec, medians: Mapping[str, float] | None = None) -> dict[str, Any]:
    """Invent an application that scores, never a customer's; near the `medians` of features where they are known."""
    first = [*spec.event_kinds, *spec.ignored_kinds][:1]
    events = [
        {"occurred_at": "2026-08-01T09:30:00Z", "kind": kind, "amount": _example_amount(kind, spec, medians or {})}
        for kind in first
    ]
    return {
        "application_id": "A-1001",
        "customer_id": "C-42",
        "as_of": "2026-08-31T00:00:00Z",
        "attributes": {
            attribute.name: kind_of(attribute).example(attribute, (medians or {}).get(attribute.name))
            for attribute in spec.attributes
        },
        "events": events,
    }


def _example_amount(kind: str, spec: Spec, medians: Mapping[str, float]) -> str:
    """Return what events of this kind usually amount to: what goes out is negative, which the spec does not say."""
    measured = (
        f"{group.name}_{measure}_{days}d"
        for measure in (Monetary.MEAN, Monetary.SUM)
        for group in spec.groups
        if kind in group.kinds
        for days in group.windows_days
    )
    amount = next((medians[name] for name in measured if medians.get(name)), -34.5)
    return f"{amount:.{spec.currency.minor_digits}f}"


def decision_json_schema(spec: Spec) -> dict[str, Any]:
    """Return the schema of the decision as JSON."""
    text = {"type": "string"}
    properties: dict[str, Any] = {
        "decision_id": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        "application_id": text,
        "customer_id": text,
        "as_of": text,
        **{name: {"type": "number", "minimum": 0, "maximum": 1} for name in spec.probability_columns},
        "credit_class": {"type": "string", "enum": list(spec.classes)},
        "credit_score": {"type": "integer", "minimum": spec.scaling.minimum, "maximum": spec.scaling.maximum},
        "reasons": {"type": "array", "maxItems": MOST_REASONS, "items": _reason(spec)},
        "bundle_id": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    }
    return {
        "$schema": _DIALECT,
        "title": f"Decision of {spec.name}",
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


def _reason(spec: Spec) -> dict[str, Any]:
    properties = {
        "code": {"type": "string", "enum": sorted(reason.code for reason in spec.reasons)},
        "text": {"type": "string", "maxLength": LONGEST_TEXT, "description": "as the applicant should read it"},
        "contribution": {"type": "number", "description": "how much it spoke against the applicant"},
        "weak": {"type": "boolean", "description": "nothing spoke against the applicant; this comes nearest"},
    }
    return {"type": "object", "additionalProperties": False, "required": list(properties), "properties": properties}
