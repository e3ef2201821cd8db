"""Sections of the report: purpose, data, metrics, search, leak checks, parity."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from metrics import listed, order
from pages import html
from training.report import plots
from training.report.content import Content, purpose
from training.report.shown import plain

TITLES = {
    "policy": "policy",
    "argmax": "argmax",
    "majority_class": "majority class",
    "approve_all": "approve all",
    "best_reachable": "best reachable",
}
_SIDES = ("train", "calibration", "test")


def about(content: Content) -> str:
    """Say what the model is for and not for."""
    meant, not_meant = purpose(content)
    owner = content.spec.about.owner or "not stated: set about.owner in the spec"
    return html.section(
        "purpose",
        "What the model is for, and not for",
        html.bullets(meant),
        "<h3>Not for</h3>",
        html.bullets(not_meant),
        html.paragraph(f"Owner: {owner}."),
    )


def data(content: Content) -> str:
    """Describe data and splits."""
    classes = content.spec.classes
    rows = [
        (name, side["applications"], side["customers"], f"{side['from']} to {side['to']}", *_shares(side, classes))
        for name, side in sides(content)
    ]
    origin = content.spec.about.data or "Not stated by the owner: set about.data in the spec."
    return html.section(
        "data",
        "Data and splits",
        html.paragraph(f"Origin: {origin}"),
        html.table(("side", "applications", "customers", "as_of", *classes), rows, "Who learned, who judged"),
        html.paragraph(
            f"Judged: {content.evaluation.judged_on}. {content.evaluation.how} "
            f"Applications that were rejected as unusable before: {content.evaluation.rejected:,}."
        ),
        _fingerprint(content),
    )


def sides(content: Content) -> list[tuple[str, dict[str, Any]]]:
    """Return the sides of the data with what they were used for."""
    names, found = content.evaluation.sides, content.figures["data"]
    return [(names[name], found[name]) for name in _SIDES if name in found and name in names]


def _shares(side: dict[str, Any], classes: tuple[str, ...]) -> list[str]:
    total = max(side["applications"], 1)
    return [f"{100 * side['classes'][name] / total:.1f} %" for name in classes]


def _fingerprint(content: Content) -> str:
    found = content.facts["training_data"]["sha256"]
    return html.paragraph(f"Fingerprint of the training data (SHA-256 of features, labels and instants): {found}.")


def metrics(content: Content) -> str:
    """Show metrics with intervals beside baselines, in and out of time, and the confusion matrix."""
    later = content.evaluation.later
    parts = [
        _metric_table(content, content.evaluation.judged, "Metrics with 95 % intervals (bootstrap over customers)")
    ]
    if later is not None:
        caption = f"The same, trained as if {later['from'][:10]} had not come, judged from then on"
        parts.append(_metric_table(content, later, caption))
        if later.get("floors_missed"):
            parts.append(html.note(f"The run out of time took the closest policy. {later['floors_missed']}"))
    best = content.spec.best_class
    parts.append(
        html.paragraph(
            f"{best} called {content.spec.classes[0]} is the rate of false negatives; called less: anything below "
            f"{best}. Precision: of those called a class; recall: of those who are it."
        )
    )
    return html.section("metrics", "How good it is", *parts, confusion(content))


def _metric_table(content: Content, evaluation: Mapping[str, Any], caption: str) -> str:
    names = [name for name in TITLES if name in evaluation]
    found, classes = evaluation["policy"]["metrics"], content.spec.classes
    rows = [
        (_label(metric, classes), *[plain(metric, evaluation[name]["metrics"].get(metric)) for name in names])
        for metric in sorted(found, key=order)
    ]
    count = evaluation["policy"]["applications"]
    return html.table(("metric", *[TITLES[n] for n in names]), rows, f"{caption}; {count:,} applications")


def _label(name: str, classes: tuple[str, ...]) -> str:
    for metric in listed(classes=classes):
        if metric.name == name:
            return metric.called(classes)
    return name.replace("_", " ")  # of another release


def confusion(content: Content) -> str:
    """Show what was assigned to applicants of each class, as counts and as shares of the row."""
    table = content.evaluation.policy["confusion"]
    classes = content.spec.classes
    rows = []
    for actual in classes:
        total = max(sum(table[actual].values()), 1)
        rows.append(
            (f"is {actual}", *[f"{n:,} ({100 * n / total:.1f} %)" for n in (table[actual][name] for name in classes)])
        )
    return html.table(("", *[f"called {name}" for name in classes]), rows, "Confusion matrix under the policy")


def search(content: Content) -> str:
    """Show the search for parameters, its gain and its noise; empty without one."""
    tuning = content.evaluation.tuning
    if tuning is None:
        return html.section("tuning", "Search for parameters", html.paragraph(content.evaluation.parameters))
    rows = [(name, f"{value:g}") for name, value in sorted(tuning["parameters"].items())]
    rows += [("trees x depth (serving cost)", f"{tuning['serving_cost']:,}")]
    parts = [
        html.paragraph(
            f"{tuning['trials']} candidates, {tuning['pruned']} cut short, {tuning['infeasible']} below the floors; "
            f"cost per application over {tuning['folds']} folds of customers. Ties within one standard error go to the "
            f"candidate that is cheapest to serve. Taken: candidate {tuning['winner']}."
        ),
        html.bullets(gains(tuning, content.currency)),
        html.table(("parameter", "value"), rows, "The candidate that was taken"),
    ]
    if any(row["cost"] is not None for row in content.trials):
        picture = plots.trials(list(content.trials), content.currency)
        parts.insert(1, html.figure(picture, "Candidates in the order of the search; those cut short are left out."))
    return html.section("tuning", "Search for parameters", *parts)


def gains(tuning: Mapping[str, Any], currency: str) -> list[str]:
    """Say what a search gained against the default, and whether that is more than noise."""
    if tuning["winner"] == 0:
        return ["The recipe was kept as it is: no candidate was better, or as good and cheaper to serve."]
    if tuning["default"] is None:
        return ["The recipe cannot meet the floors, so there is no gain to state."]
    found = {f"over {tuning['folds']} folds": tuning["default"]}
    if tuning.get("held_out") is not None:  # of bundles before format 3
        found["on held-out customers, who took no part in the search"] = tuning["held_out"]
    if tuning.get("other_folds") is not None:
        found["on other folds, which took no part in the search"] = tuning["other_folds"]
    kept = "The recipe was kept as it is: on the other folds the candidate was worse than noise explains."
    return [*map(partial(_gain, currency), found.items()), *([kept] if tuning.get("fell_back") else [])]


def _gain(currency: str, found: tuple[str, dict[str, Any]]) -> str:
    where, figure = found
    return (
        f"Gain over the recipe {where}: {figure['gain']:+.3f} {currency} an application, 95 % interval "
        f"{figure['low']:+.3f} to {figure['high']:+.3f}"
    ) + (": inside the noise." if figure["inside_the_noise"] else ": more than noise.")


def leak_checks(content: Content) -> str:
    """Show signs of a leak that were looked for."""
    found = content.figures.get("leaks")
    if found is None:
        text = "Leak checks need the training data; they stand in the report that is stored in the bundle."
        return html.section("leaks", "Leak checks", html.paragraph(text))
    shared = ", ".join(f"{pair}: {count:,}" for pair, count in found["shared_customers"].items())
    strongest = found["single_features"][0]["auc"] if found["single_features"] else 0
    loss = {side: "not known" if v is None else f"{v:.4f}" for side, v in found["log_loss"].items()}
    rows = [(row["feature"], row["class"], f"{row['auc']:.3f}") for row in found["single_features"]]
    verdict = "suspicious: look at it" if strongest >= found["suspicious_from"] else "none decides alone"
    return html.section(
        "leaks",
        "Leak checks",
        html.bullets(
            [
                f"Customers on two sides ({shared}).",
                (
                    f"Judged applications whose feature row equals one of the training: "
                    f"{found['test_rows_equal_to_a_training_row']:,}."
                ),
                f"Log loss: training {loss['train']}, judged {loss['test']}.",
                f"Strongest single feature: AUC {strongest:.3f}; {verdict} (from {found['suspicious_from']} on).",
                "Features end at as_of (exclusive), and an event recorded after as_of does not count: by construction.",
            ]
        ),
        html.table(("feature", "parts off", "AUC alone"), rows, "Features that part a class best by themselves"),
    )


def parity(content: Content) -> str:
    """Show the certificate that the exported model equals the trained one, and the versions."""
    found = content.facts["parity"]
    rows = [(kind.replace("_", " "), count) for kind, count in found["rows"].items()]
    libraries = ", ".join(f"{name} {version}" for name, version in content.facts["libraries"].items())
    return html.section(
        "parity",
        "Parity certificate",
        html.paragraph(
            f"The exported graph was compared with the trained model on {sum(found['rows'].values()):,} golden and "
            f"adversarial rows: largest difference {found['largest_difference']:.2g}, allowed "
            f"{found['tolerance']:.0e}; another class at a tie of costs: {found['other_class_at_a_tie']}."
        ),
        html.paragraph(
            f"Contributions, from which reasons are made, were compared with the native library's on "
            f"{found['contributions']['native_rows']:,} rows: largest difference "
            f"{found['contributions']['largest_difference']:.2g}, allowed {found['contributions']['tolerance']:.0e}."
        ),
        html.table(("kind of row", "rows"), rows, "Rows compared"),
        html.paragraph(f"Made on {content.facts['cpu_family']} with {libraries}."),
    )
