"""The figures of a run as plain data: the JSON beside the page, from which the page is made."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics import Place, listed
from monitoring.nightly.alarms import Light
from monitoring.nightly.drift import Part
from monitoring.nightly.finding import LARGE, WHOLE, Finding, Kind
from monitoring.nightly.statement import State
from monitoring.nightly.watch import Figures, Truth

FORMAT_VERSION = 1
_COURSES = 6


def content(figures: Figures) -> dict[str, Any]:
    """Return all figures; infinite bands are null."""
    watched, spec = figures.watched, figures.watched.bundle.spec
    found = {
        "format_version": FORMAT_VERSION,
        "name": spec.name,
        "bundle_id": watched.bundle.bundle_id,
        "currency": watched.bundle.policy.currency,
        "classes": spec.classes,
        "light": figures.light,
        "headline": headline(figures),
        "window": _window(figures),
        "reference": _reference(figures),
        "alarms": figures.alarms,
        "statement": figures.statement,
        "drift": {
            "alpha": figures.alpha,
            "ranking": [_finding(f) for f in figures.ranking],
            "courses": _courses(figures),
        },
        "outputs": _outputs(figures),
        "estimates": figures.estimates,
        "outcomes": None if figures.truth is None else _outcomes(figures.truth),
        "doors": {
            "compared": watched.agreement.shared,
            "differing": watched.agreement.differing,
            "between": watched.agreement.doors,
            "decision_ids": watched.decision_ids,
        },
        "matches": watched.matches,
        "notes": watched.notes,
    }
    plain: dict[str, Any] = _plain(found)
    return plain


def headline(figures: Figures) -> str:
    """Say in one or two sentences what a manager needs to know."""
    alarms = figures.alarms
    if figures.light is Light.GREEN:
        known = figures.statement.state is State.CONFIRMED
        open_ = "Whether outcomes still follow from inputs as at training, only outcomes can tell; too few matured yet."
        outcomes = "Matured outcomes came true as stated." if known else open_
        seen = "Fit, as far as can be seen: nothing moved by more than chance and enough to matter."
        return f"{seen}{_blind(figures)} {outcomes}"
    first = alarms[0]
    others = f" {len(alarms) - 1} more below." if len(alarms) > 1 else ""
    act = "Act" if figures.light is Light.RED else "Look"
    named = _named(figures)
    return f"{act}: {first.what} ({first.where}): {first.why}.{named}{others}"


def _blind(figures: Figures) -> str:
    """Say so where the window is so small that chance hides a large shift of most features."""
    bands = [f.band for f in figures.findings if f.kind is Kind.VALUES and f.where == WHOLE and math.isfinite(f.band)]
    usual = float(np.median(bands)) if bands else 0.0
    if usual <= LARGE:
        return ""
    rows = next(part.tally.rows for part in figures.parts if part.name == WHOLE)
    return f" But so few decisions ({rows:,}) show little: chance hides any PSI up to {usual:.2f} of a usual feature."


def _named(figures: Figures) -> str:
    """Say what a fall comes from, where outcomes show one."""
    if figures.truth is None or not any(alarm.topic == "performance" for alarm in figures.alarms):
        return ""
    whole = next((f for f in figures.truth.falls if f.where == WHOLE and f.metric == "expected_cost"), None)
    if whole is None or whole.named == "none":
        return ""
    named = {
        "concept": "The fall comes from the concept, the same inputs leading to other outcomes, more than from inputs.",
        "inputs": "The fall comes from other inputs more than from another relation of inputs and outcomes.",
    }
    return f" {named[whole.named]}"


def _window(figures: Figures) -> dict[str, Any]:
    watched, window = figures.watched, figures.watched.window
    rows = {name: window.total(lambda cell, name=name: cell[1] == name) for name in window.doors}  # type: ignore[misc]
    periods = {
        watched.periods[p]: window.total(lambda cell, p=p: cell[0] == p)  # type: ignore[misc]
        for p in window.periods
    }
    return {
        "first": watched.first.isoformat(),
        "last": watched.last.isoformat(),
        "decisions": sum(tally.rows for tally in rows.values() if tally),
        "doors": {name: tally.rows for name, tally in rows.items() if tally},
        "periods": {name: tally.rows for name, tally in periods.items() if tally},
    }


def _reference(figures: Figures) -> dict[str, Any]:
    found = figures.watched.window.reference
    claims = {name: asdict(claim) for name, claim in found.outputs.claims.items()}
    parts = {"applications": found.rows, "customers": found.customers, "first": found.first, "last": found.last}
    known = figures.watched.bundle.evaluation.metrics
    ranking = {m.name: known[m.name] for m in listed(Place.COHORTS) if m.name in known}
    return {**parts, "held_out": sum(found.outputs.class_counts), "claims": claims, "ranking": ranking}


def _finding(finding: Finding) -> dict[str, Any]:
    extra = {"strength": finding.strength, "moved": finding.moved, "js_band": finding.distance_band}
    return {**asdict(finding), **extra}


def _courses(figures: Figures) -> list[dict[str, Any]]:
    """Return shares by bin, and the PSI by part, of the items that lead the ranking."""
    items = {item.name: i for i, item in enumerate(figures.watched.window.reference.items)}
    names = [f.name for f in figures.ranking if f.kind in (Kind.VALUES, Kind.MISSING) and f.name in items]
    whole = next(part for part in figures.parts if part.name == WHOLE)
    return [_course(figures, whole, name, items[name]) for name in list(dict.fromkeys(names))[:_COURSES]]


def _course(figures: Figures, whole: Part, name: str, i: int) -> dict[str, Any]:
    item = figures.watched.window.reference.items[i]
    by_part = {(f.kind, f.where): f for f in figures.findings if f.name == name}
    others = [part.name for part in figures.parts if part.name != WHOLE]
    return {
        "name": name,
        "labels": [*item.labels(), "missing"],
        "reference": _shares(np.array([*item.counts, item.missing])),
        "window": _shares(whole.tally.items[i]),
        "parts": {
            where: {
                "psi": by_part[Kind.VALUES, where].psi,
                "band": by_part[Kind.VALUES, where].band,
                "missing": by_part[Kind.MISSING, where].share,
            }
            for where in others
        },
    }


def _outputs(figures: Figures) -> dict[str, Any]:
    known = figures.watched.window.reference.outputs
    whole = next(part for part in figures.parts if part.name == WHOLE)
    return {
        "classes": {
            "reference": _shares(np.array(known.class_counts)),
            "parts": {part.name: _shares(part.tally.classes) for part in figures.parts},
        },
        "scores": {
            "edges": known.score_edges,
            "reference": _shares(np.array(known.score_counts)),
            "window": _shares(whole.tally.scores),
        },
    }


def _shares(counts: NDArray[np.int64]) -> list[float]:
    return [round(float(n), 6) for n in counts / max(int(counts.sum()), 1)]


def _outcomes(truth: Truth) -> dict[str, Any]:
    return {
        "coverage": truth.coverage,
        "immature": truth.immature,
        "refused_unknown": truth.refused_unknown,
        "cohorts": [
            {**asdict(found), "metrics": [{**asdict(m), "surprising": m.surprising} for m in found.metrics]}
            for found in truth.cohorts
        ],
        "falls": [{**asdict(fall), "named": fall.named} for fall in truth.falls],
        "calibration": truth.calibration,
        "cut_offs": None if truth.cut_offs is None else {**asdict(truth.cut_offs), "changed": truth.cut_offs.changed},
    }


def _plain(value: Any) -> Any:
    """Turn records into what JSON can say; infinities and NaN become null."""
    if isinstance(value, float):
        return round(value, 8) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if hasattr(value, "__dataclass_fields__"):
        return _plain(asdict(value))
    return str(value) if isinstance(value, str) else value
