"""Draft a spec from a lender's own tables: a complete, commented TOML file that trains after the edits it asks for."""

from collections.abc import Iterator

import polars as pl

from features.applications import require_columns
from features.cells import Guess
from features.draft_column import guess_column
from features.draft_reasons import draft_reasons
from features.rejects import APPLICATIONS, EVENTS
from features.spec import EVENT_COLUMNS, IDENTITY
from features.spec_file import is_usable_name, parse_spec
from features.toml_table import toml_text

_WINDOWS = (30, 90, 365)
_MOST_GROUPS = 15
_ORDERS = (("Poor", "Standard", "Good"), ("Poor", "Good"), ("Bad", "Good"), ("bad", "good"), ("default", "paid"))


_CURRENCY = ("[currency]", 'code = "EUR" # EDIT: the currency of amounts and costs', "minor_digits = 2")
_SCORE = (
    "# Points = base_score where the odds (1 - p_worst) : p_worst are base_odds.",
    *("[score]", "base_score = 600", "base_odds = 2", "points_to_double_odds = 50"),
)


def draft_spec(applications: pl.DataFrame, events: pl.DataFrame | None, labels: pl.DataFrame | None) -> str:
    """Return the text of a spec. What a person must check or decide is marked EDIT. No events: no groups.

    Raises:
        InputError: a table lacks its identity columns; attributes may have any names.

    """
    require_columns(applications, APPLICATIONS, IDENTITY)
    if events is not None:
        require_columns(events, EVENTS, EVENT_COLUMNS)
    classes = _classes(labels)
    lines = [
        "# Drafted from your files. Read it once from top to bottom; lines marked EDIT need a decision or a check.",
        "spec_version = 1",
        'name = "my-model" # EDIT: a name for the model',
        "# EDIT: check the order, worst first.",
        f"classes = {_list(classes)}",
        "",
        *_CURRENCY,
        "",
        "# A cell outside its range, or unreadable, becomes missing and is counted; with required = true the",
        "# application is rejected instead. EDIT: check each range; only the bulk of your values was looked at.",
        "# Add unit and description where they help; both are shown with the feature.",
        *_attributes(applications),
        *(() if events is None or events.is_empty() else _events(events, applications.columns)),
        *_policy(classes),
        *_SCORE,
    ]
    text = "\n".join(lines) + "\n"
    return text + "\n" + "\n".join(draft_reasons(parse_spec(text)))


def _classes(labels: pl.DataFrame | None) -> tuple[str, ...]:
    if labels is None or "credit_class" not in labels.columns:
        return _ORDERS[0]
    found = set(labels["credit_class"].cast(pl.String).drop_nulls())
    return next((order for order in _ORDERS if found == set(order)), tuple(sorted(found)))


def _list(values: tuple[str, ...]) -> str:
    return "[" + ", ".join(toml_text(value) for value in values) + "]"


def _attributes(applications: pl.DataFrame) -> Iterator[str]:
    for name in applications.columns:
        if name in IDENTITY:
            continue
        guess = guess_column(applications[name])
        if guess.kind is None or not is_usable_name(name):
            reason = guess.note if guess.kind is None else "its name cannot be used; rename the column"
            yield f"# Left out: {toml_text(name)} {reason}."
        else:
            yield from _attribute(name, guess)
        yield ""


def _attribute(name: str, guess: Guess) -> Iterator[str]:
    yield f"[attributes.{toml_text(name)}]"
    yield f'kind = "{guess.kind}" # {guess.note}'
    if guess.bounds:
        low, high = (f"{bound:g}" if abs(bound) < 1e6 else f"{bound:.0f}" for bound in guess.bounds)
        yield f"range = [{low}, {high}]"
        if guess.kind == "number":
            yield '# kind = "money" instead, if these are amounts with cents that must stay exact'
    if guess.values:
        yield f"values = {_list(guess.values)}"
    if guess.kind == "category":
        yield "# ordered = true, if the values have a rank; then list them worst first"
    if guess.tokens:
        yield f"missing_tokens = {_list(guess.tokens)}"
    if guess.strip:
        yield f"strip = {toml_text(guess.strip)}"


def _events(events: pl.DataFrame, taken: list[str]) -> Iterator[str]:
    kind = events["kind"].cast(pl.String).str.strip_chars()
    counts = kind.filter(kind.is_not_null() & (kind != "")).rename("kind").value_counts().sort(["count", "kind"])
    kinds = tuple(counts["kind"].reverse())
    yield "# Event kinds that are used. Move to `ignored` what says nothing; any other kind rejects the customer."
    yield "[events]"
    yield f"kinds = {_list(kinds)}"
    yield "ignored = []"
    yield ""
    yield "# One group per kind; join kinds that mean the same. Windows in days end at as_of, which is exclusive."
    groups: list[str] = []
    for number, name in enumerate(kinds[:_MOST_GROUPS], start=1):
        group = "events " + "".join(c if c.isalnum() or c in " -_" else "_" for c in name[:60])
        groups.append(f"{group} {number}" if group in (*groups, *taken) else group)
        yield f"[rfm.{toml_text(groups[-1])}]"
        yield f"kinds = [{toml_text(name)}]"
        yield f"windows_days = {list(_WINDOWS)}"
        yield "recency = true"
        yield "frequency = true"
        yield 'monetary = ["sum", "mean"]'
        yield ""


def _policy(classes: tuple[str, ...]) -> Iterator[str]:
    """Costs grow with the distance; a lost good applicant costs twice a bad one accepted."""
    last = len(classes) - 1
    yield "# EDIT: money that each mistake costs you, costs.ACTUAL = { ASSIGNED = money }; right answers cost 0."
    yield "# A good applicant called by the worst name is a false negative: lost business, here the dearest mistake."
    yield "[policy.costs]"
    for actual, name in enumerate(classes):
        weight = 400 if actual == last else 200
        row = ", ".join(f"{toml_text(a)} = {weight * abs(actual - assigned)}" for assigned, a in enumerate(classes))
        yield f"{toml_text(name)} = {{ {row} }}"
    yield ""
