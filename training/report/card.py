"""The model card: what a validator or an authority asks for first, as Markdown, from the run alone.

Sections are keyed to the headings of SR 26-2 (US model-risk guidance of April 2026) and of annex IV of Regulation (EU)
2024/1689, so that a reader finds what each asks for. That is an index, not a claim of compliance.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from features.protected import declared_protected
from metrics import Place, listed, order
from training.report.content import Content, purpose, verdict
from training.report.sections.sections_curves import LABELS, in_order
from training.report.sections.sections_fairness import verdicts
from training.report.sections.sections_model import gains, sides
from training.report.shown import cell, plain

__all__ = ["render_card"]

_NOT_STATED = "Not stated by the owner; set `about.{}` in the spec."


def render_card(content: Content) -> str:
    """Return `model_card.md`. The same content gives the same bytes."""
    sections = (_purpose, _design, _data, _performance, _policy, _fairness, _limits, _oversight, _monitoring, _versions)
    parts = [
        f"# Model card: {content.facts['name']}",
        (
            "Made from the run; where only the owner can know something, the card says so. The keys in brackets name "
            "the part of SR 26-2 (US guidance on model risk management, 2026) and of annex IV of the EU AI Act "
            "(Regulation 2024/1689) that asks for the section. The card is an index for a reader of either; it claims "
            "compliance with neither."
        ),
    ]
    for section in sections:
        parts += section(content)
    return "\n\n".join(parts) + "\n"


def _purpose(content: Content) -> Iterator[str]:
    meant, not_meant = purpose(content)
    yield "## Purpose and use  [SR 26-2: purpose, exposure, materiality; annex IV 1 (a), (h)]"
    yield _list(meant)
    yield "Not for:"
    yield _list(not_meant)
    yield f"Owner: {content.spec.about.owner or _NOT_STATED.format('owner')}"
    yield (
        "Exposure (portfolio, share of decisions, amounts) and the tier of materiality are the owner's to state: "
        "they are not in the data."
    )


def _design(content: Content) -> Iterator[str]:
    model = content.facts["model"]
    depth = f" of depth {model['depth']} at most" if "depth" in model else ""
    yield "## Design and conceptual soundness  [SR 26-2: development, conceptual soundness; annex IV 1 (b), 2 (a), (b)]"
    yield _list(
        [
            (
                f"{model['kind']}, {content.evaluation.origin}: {model['trees']} trees{depth}, on "
                f"{len(model['features'])} features; missing values are routed as the trees learned."
            ),
            (
                f"Probabilities are calibrated, and the policy is chosen, on {content.evaluation.calibrated_on}. The "
                "class is the one of least expected cost; the score is scorecard points on the odds of the worst class."
            ),
            (
                "Features end at the instant of the application and are exact (integer sums), the same in batch, "
                "stream and REST."
            ),
            "Reasons of adverse decisions are exact SHAP values of the exported model.",
        ]
    )
    tuning = content.evaluation.tuning
    if tuning is None:
        yield content.evaluation.parameters
    else:
        yield f"Parameters: candidate {tuning['winner']} of {tuning['trials']} (study in `study.csv`)."
        yield _list(gains(tuning, content.currency))


def _data(content: Content) -> Iterator[str]:
    yield "## Data  [SR 26-2: data quality and relevance; annex IV 2 (d)]"
    yield f"Origin: {content.spec.about.data or _NOT_STATED.format('data')}"
    rows = [
        (name, f"{side['applications']:,}", f"{side['customers']:,}", f"{side['from']} to {side['to']}")
        for name, side in sides(content)
    ]
    yield _table(("side", "applications", "customers", "as of"), rows)
    yield (
        f"{content.evaluation.how} Rejected as unusable: {content.evaluation.rejected:,} applications. Fingerprint "
        f"of features, labels and instants: `{content.facts['training_data']['sha256']}`."
    )


def _performance(content: Content) -> Iterator[str]:
    yield "## Performance  [SR 26-2: outcomes analysis, benchmarking; annex IV 2 (g), 3, 4]"
    columns = [
        name
        for name in ("policy", "argmax", "majority_class", "approve_all", "best_reachable")
        if name in content.evaluation.judged
    ]
    rows = [
        (metric, *[plain(metric, content.evaluation.judged[name]["metrics"].get(metric)) for name in columns])
        for metric in sorted(content.metrics, key=order)
    ]
    yield _list(verdict(content))
    yield _table(("metric", *[name.replace("_", " ") for name in columns]), rows)
    yield "In brackets: 95 % intervals of a bootstrap over customers. Curves, months and slices: `report.html`."
    later = content.evaluation.later
    if later is None:
        yield "Out of time: not judged (one label period, or a model or policy that did not come from this training)."
    else:
        yield f"Out of time, from {later['from'][:10]} on: {_watched(later['policy']['metrics'], content)}."


def _policy(content: Content) -> Iterator[str]:
    yield "## Decisions and errors in money  [SR 26-2: model use, sensitivity; annex IV 2 (b), 4]"
    points = content.figures["trade_off"]["points"]
    rows = [
        (LABELS[name], *[cell(metric, point.get(metric.name)) for metric in listed(Place.POLICY)])
        for name, point in in_order(points)
    ]
    yield _table(("decisions by", *[metric.called(content.spec.classes) for metric in listed(Place.POLICY)]), rows)
    yield f"Costs in {content.currency}."
    never = content.figures["trade_off"]["never_assigned"]
    if never:
        yield f"**The policy never assigns {', '.join(never)} to a judged application.**"


def _protected(content: Content) -> str:
    declared = [f"`{name}` ({what})" for name, what in declared_protected(content.spec)]
    if not declared:
        return "Protected attributes among the inputs: none that is recognised by its name or its values."
    return (
        f"Protected attributes among the inputs: {', '.join(declared)}. Many laws forbid to decide on credit by them; "
        "that it is allowed here is the owner's to show."
    )


def _fairness(content: Content) -> Iterator[str]:
    yield "## Fairness  [SR 26-2: fair-lending risk within model use; annex IV 2 (g), 3]"
    yield _protected(content)
    found = content.fairness
    if found is None:
        yield (
            "Not judged in training: groups are no model input and are not stored. "
            "`credit report BUNDLE --data DIR --groups FILE --card FILE` writes this section."
        )
        return
    rows = [
        (row["group"], row["suppressed"], *[""] * len(listed(Place.GROUPS)))
        if "suppressed" in row
        else (row["group"], f"{row['n']:,}", *[cell(metric, row.get(metric.name)) for metric in listed(Place.GROUPS)])
        for row in found["groups"]
    ]
    labels = [metric.called(content.spec.classes) for metric in listed(Place.GROUPS)]
    yield _table(("group", "applications", *labels), rows)
    yield _list([*verdicts(content), found["proxy"]["verdict"]])


def _limits(content: Content) -> Iterator[str]:
    yield "## Limits and known risks  [SR 26-2: limitations, uncertainty; annex IV 3, 5]"
    yield content.spec.about.limits or _NOT_STATED.format("limits")
    flagged = [f"{row['feature']} {row['values']}" for row in content.figures["slices"] if row.get("flagged")]
    yield _list(
        [
            (
                "Labels exist for applications that were granted or followed up; what refused applicants would have "
                "done is not known unless the owner says otherwise."
            ),
            "Intervals cover sampling of customers, not changes of the economy or of the intake.",
            f"Slices that lose clearly more good applicants than all: {', '.join(flagged) or 'none'}.",
        ]
    )


def _oversight(content: Content) -> Iterator[str]:
    yield "## Governance and human oversight  [SR 26-2: governance, effective challenge; annex IV 2 (e), 3]"
    yield _list(
        [
            "Each decision carries reasons, the bundle's id and an id of its own from which it can be replayed.",
            (
                f"A bundle never changes; a policy of {content.currency} costs can be set without training "
                "(`credit policy set`), which makes a new bundle."
            ),
            "A person must be able to review and overrule a refusal; who, and by which rules, is the owner's to state.",
            "Independent validation: not part of this card; `report.html` and `figures.json` are its material.",
        ]
    )


def _monitoring(content: Content) -> Iterator[str]:
    yield "## Monitoring plan  [SR 26-2: ongoing monitoring, outcomes analysis; annex IV 9]"
    yield content.spec.about.monitoring or _NOT_STATED.format("monitoring")
    yield _list(
        [
            "Inputs and scores: drift against the bins that the bundle froze.",
            (
                "Outcomes, as labels mature, that are worse than these, outside their intervals, ask for a review: "
                f"{_watched(content.metrics, content)}."
            ),
            "Rejects and cells that became missing, by cause, on every run.",
        ]
    )


def _watched(found: dict[str, Any], content: Content) -> str:
    """List the figures for whose loss the monitor raises an alarm."""
    watched = [metric for metric in listed(Place.MONITOR) if metric.matters is not None]
    names = {m.name: f"{m.name}_{content.spec.best_class}" if m.by_class else m.name for m in watched}
    known = [(m.called(content.spec.classes), names[m.name]) for m in watched if names[m.name] in found]
    return ", ".join(f"{label} {plain(name, found[name])}" for label, name in known)


def _versions(content: Content) -> Iterator[str]:
    facts = content.facts
    parity = facts["parity"]
    yield "## Versions and reproducibility  [SR 26-2: inventory, third-party components; annex IV 1 (a), (c), 2 (c), 6]"
    yield _list(
        [
            f"Libraries: {', '.join(f'{name} {version}' for name, version in facts['libraries'].items())}.",
            f"Made on {facts['cpu_family']}, seed {facts['evaluation']['seed']}.",
            (
                f"Exported graph equals the trained model within {parity['largest_difference']:.2g} on "
                f"{sum(parity['rows'].values()):,} golden and adversarial rows."
            ),
        ]
    )


def _list(items: Sequence[str]) -> str:
    return "\n".join(f"* {item}" for item in items)


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)
