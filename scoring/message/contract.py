"""What clients of a door rely on: which messages it takes, what their cells mean, and how a decision looks."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from features.errors import BundleError
from features.spec.contract import Attribute, Spec
from scoring.message.schema import application_schema, decision_json_schema

_PROSE = ("title", "examples", "description")
_MOST = 3


def check_same_contract(now: Spec, then: Spec) -> None:
    """Check that a door can go over from one spec to another while clients and producers go on as they are.

    Raises:
        BundleError: what it publishes would change; says where.

    """
    changes = sorted(set(_changes(_contract(now), _contract(then))))
    if changes:
        more = f" and {len(changes) - _MOST} more" if len(changes) > _MOST else ""
        raise BundleError(
            f"this bundle has another contract than the one in service: {', '.join(changes[:_MOST])}{more}. A running "
            "door keeps its contract. Tell those who send applications and read decisions, then start the doors again."
        )


def _contract(spec: Spec) -> dict[str, Any]:
    return {
        "application": _plain(application_schema(spec)),
        "decision": _plain(decision_json_schema(spec)),
        "attributes": {a.name: _facts(a) for a in spec.attributes},
        "instants": asdict(spec.instants),
        "currency": spec.currency.code,
        "decimal": spec.decimal,
    }


def _plain(part: Any) -> Any:
    """Return a schema without its prose; what that says of attributes is in `_facts`."""
    if not isinstance(part, dict):
        return part
    return {name: _plain(value) for name, value in part.items() if name not in _PROSE or isinstance(value, dict)}


def _facts(one: Attribute) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "unit": one.unit,
        "range": (one.minimum, one.maximum),
        "values": (one.values, one.ordered),
        "currency": one.currency.code,
        "decimal": one.decimal,
        "options": one.options,
    }


def _changes(now: Any, then: Any, place: tuple[str, ...] = ()) -> Iterator[str]:
    if isinstance(now, dict) and isinstance(then, dict):
        for name in now.keys() | then.keys():
            yield from _changes(now.get(name), then.get(name), (*place, name))
    elif now != then:
        yield ".".join(part for part in place if part != "properties")
