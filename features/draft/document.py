"""The whole draft: a complete, commented spec that trains after the edits it asks for, and what needs a look."""

import math
import os
import tomllib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import combinations

import polars as pl

from features.cells.decimal_advice import have_comma
from features.cells.decimals import may_be_thousands
from features.cells.texts import COMMA
from features.draft.attribute import Drafted, draft_attribute, toml_list
from features.draft.class_order import ClassOrder, order_classes
from features.draft.draft_reasons import draft_reasons
from features.draft.events import event_lines
from features.draft.instants import days_of, instant_lines
from features.draft.rates import Outcomes
from features.errors import InputError
from features.spec.class_values import class_value, match_names
from features.spec.classes import class_choice
from features.spec.contract import IDENTITY, Spec, probability_column
from features.spec.file import SPEC_VERSION, parse_spec
from features.spec.toml_table import toml_text

_CURRENCY = ("[currency]", 'code = "EUR" # EDIT: the currency of amounts and costs', "minor_digits = 2")
_SCORE = (
    "# Points = base_score where the odds (1 - p_worst) : p_worst are base_odds.",
    *("[score]", "base_score = 600", "base_odds = 2", "points_to_double_odds = 50"),
)
_ATTRIBUTES = (
    "# A cell outside its range, or unreadable, becomes missing and is counted; with required = true the",
    "# application is rejected instead. Ranges cut nothing that was found but what is named beside them.",
    "# Add unit and description where they help; both are shown with the feature.",
)
_UNIT_COST = 200
_NO_LABELS = ClassOrder(classes=("Poor", "Standard", "Good"), reason="no labels were given, so write your own classes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The text of a spec; what was taken in and left out, and what a person should look at, one line each."""

    text: str
    attributes: int
    left_out: int
    groups: int
    looks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """What a draft is made from. `identity` has the identity columns, `columns` yields all others, with all rows.

    `hints` are names around the labels that may say what their classes mean, such as that of their file.
    """

    identity: pl.DataFrame
    columns: Iterable[pl.Series]
    events: pl.DataFrame | None = None
    labels: pl.DataFrame | None = None
    hints: Sequence[str] = ()

    @classmethod
    def of(
        cls, applications: pl.DataFrame, events: pl.DataFrame | None = None, labels: pl.DataFrame | None = None
    ) -> "Tables":
        """Take tables that are in memory."""
        others = (column for column in applications.iter_columns() if column.name not in IDENTITY)
        return cls(identity=applications.select(IDENTITY), columns=others, events=events, labels=labels)


def draft_spec(tables: Tables) -> Draft:
    """Draft a spec. What a person must check or decide is marked EDIT in it."""
    order = _class_order(tables)
    customers = tables.identity["customer_id"].n_unique()
    outcomes = _outcomes(tables, order)
    as_of = days_of(tables.identity["as_of"])
    drafted = _side_by_side(lambda column: draft_attribute(column, customers, outcomes, as_of), tables.columns)
    return _written(tables, order, [*drafted])


def _side_by_side(draft: Callable[[pl.Series], Drafted], columns: Iterable[pl.Series]) -> Iterator[Drafted]:
    """Draft as many columns at once as there are cores, and hold hardly more of them; their order stays."""
    at_once = os.cpu_count() or 1
    with ThreadPoolExecutor(at_once) as pool:
        begun: deque[Future[Drafted]] = deque()
        for column in columns:
            begun.append(pool.submit(draft, column))
            if len(begun) > at_once:
                yield begun.popleft().result()
        yield from (one.result() for one in begun)


def _written(tables: Tables, order: ClassOrder, drafted: list[Drafted]) -> Draft:
    instants = instant_lines(tables.identity, tables.events)
    events = [*event_lines(tables.events, [one.name for one in drafted], instants.events)]
    decimal = _decimal_lines(tables.events)
    drafted = [_with_point(one) for one in drafted] if decimal and COMMA in decimal[0].partition(" # ")[0] else drafted
    attributes = [line for one in drafted for line in one.lines]
    plain = event_lines(tables.events, [one.name for one in drafted])  # a zone may be asked for
    spec = _parsed(
        [
            *_head(order),
            *decimal,
            f"classes = {toml_list(order.classes)}",
            *_CURRENCY,
            *attributes,
            *plain,
            *_rest(order),
        ]
    )
    opening, reasons = _reasons(spec)
    left_out = {one.name for one in drafted if not one.taken}
    lines = [*_head(order), *_classes(order), *decimal, *instants.root, "", *_CURRENCY, "", *_ATTRIBUTES]
    lines += [*(line for one in drafted for line in _column(one, reasons)), *events, *_rest(order), "", *opening]
    lines += [line for name, block in reasons.items() if name not in left_out for line in block]
    taken = len(drafted) - len(left_out)
    nothing = (
        () if taken or events else ("no column can be an attribute as it stands: there is nothing to train on yet",)
    )
    return Draft(
        text="\n".join(lines) + "\n",
        attributes=taken,
        left_out=len(left_out),
        groups=len(spec.groups) if spec else 0,
        looks=(
            *_order_looks(order),
            *(f"costs: {said}; put your own into [policy.costs]" for said in _said_of_costs(order)),
            *nothing,
            *map(_as_look, decimal),
            *instants.looks,
            *(look for one in drafted for look in _looks(one)),
        ),
    )


def _decimal_lines(events: pl.DataFrame | None) -> list[str]:
    """Return the line that declares a comma before the decimals of the amounts of events, which holds for all."""
    if events is None or "amount" not in events.columns:
        return []
    if have_comma(events["amount"]):
        return ['decimal = "," # amounts of events have a comma before their decimals']
    if events.schema["amount"] == pl.String and may_be_thousands(events["amount"].drop_nulls().str.strip_chars()):
        return ['decimal = "." # EDIT: write "," if points in amounts of events part thousands (12.400 being 12,400)']
    return []


def _as_look(line: str) -> str:
    declared, _, why = line.partition(" # ")
    said = why.removeprefix("EDIT: ")
    return f"events: {said}; {declared} stands at the top of the spec"


def _with_point(drafted: Drafted) -> Drafted:
    """Say that numbers have a point, of an attribute that says nothing, where the spec as a whole says a comma."""
    kind, own = (drafted.lines[1] if len(drafted.lines) > 1 else ""), "\n".join(drafted.lines)
    if "\ndecimal = " in own or not kind or any(f'"{name}"' in kind for name in ("date", "text", "boolean")):
        return drafted
    return replace(drafted, lines=(*drafted.lines[:2], 'decimal = "."', *drafted.lines[2:]))


def _parsed(lines: list[str]) -> Spec | None:
    """Parse the draft with all columns taken in; None where there is nothing that makes a feature."""
    text = "\n".join(lines) + "\n"
    return parse_spec(text) if "\n[attributes." in text or "\n[rfm." in text else None


def _class_order(tables: Tables) -> ClassOrder:
    labels = tables.labels
    if labels is None or "credit_class" not in labels.columns:
        return _NO_LABELS
    found = labels["credit_class"].cast(pl.String).drop_nulls().str.strip_chars()
    counts: dict[str, int] = {}
    for name, count in found.filter(found != "").value_counts().iter_rows():
        value = class_value(name)
        spelling = value if value.lstrip("-").replace(".", "").isdigit() and not name.isalpha() else name
        counts[spelling] = counts.get(spelling, 0) + count
    if len(counts) < 2:
        return ClassOrder(classes=(*counts, "another class"), decided=False, reason="the labels name one class only")
    for name, other in combinations(sorted(counts), 2):
        if probability_column(name) == probability_column(other):
            raise InputError(
                f"labels: credit_class has {counts[name]:,} of {name!r} and {counts[other]:,} of {other!r}, which are "
                "one class or two that are alike. Write each class in one way where the file is made."
            )
    others = [name for name in labels.columns if name != "credit_class" and _says_the_same(labels, name)]
    return replace(order_classes(counts, (*others, *tables.hints)), counts=counts)


def _says_the_same(labels: pl.DataFrame, column: str) -> bool:
    """Tell whether a column holds what `credit_class` does, so that its name says what the classes mean."""
    theirs, ours = (labels[name].cast(pl.String, strict=False).str.strip_chars() for name in (column, "credit_class"))
    return bool((theirs == ours).fill_null(theirs.is_null() & ours.is_null()).all())


def _outcomes(tables: Tables, order: ClassOrder) -> Outcomes | None:
    labels = tables.labels
    if labels is None or not {"application_id", "credit_class"} <= set(labels.columns):
        return None
    actual = match_names(labels["credit_class"], order.classes)
    known = pl.DataFrame({"id": labels["application_id"].cast(pl.String).str.strip_chars(), "actual": actual})
    ids = tables.identity.select(pl.col("application_id").cast(pl.String).str.strip_chars().alias("id"))
    joined = ids.join(known.unique("id"), on="id", how="left", maintain_order="left")
    customers = tables.identity["customer_id"].cast(pl.String).rank("dense").cast(pl.Int64).fill_null(0)
    return Outcomes(joined["actual"].fill_null(-1).to_numpy(), customers.to_numpy(), f"`{order.classes[0]}`")


def _head(order: ClassOrder) -> Iterator[str]:
    yield "# Drafted from your files. Read it once from top to bottom; lines marked EDIT need a decision or a check."
    yield f"spec_version = {SPEC_VERSION}"
    yield 'name = "my-model" # EDIT: a name for the model'
    yield f"# EDIT: the classes, worst first: {order.reason}."


def _classes(order: ClassOrder) -> Iterator[str]:
    if order.decided:
        yield f"classes = {toml_list(order.classes)}"
        return
    yield "# Which one is worse could not be told, and a model upside down is worse than a question. Take one in:"
    yield from map(class_choice, order.orders)


def _column(drafted: Drafted, reasons: dict[str, list[str]]) -> Iterator[str]:
    if drafted.taken:
        yield from drafted.lines
        yield from (f"# EDIT: {look}." for look in drafted.looks if f"# {look}." not in drafted.lines)
    else:
        yield f"# Left out: {toml_text(drafted.name)} {drafted.reason}."
        if drafted.lines:
            yield "# To take it in, delete the first # of these lines:"
        yield from (f"# {line}" for line in (*drafted.lines, *reasons.get(drafted.name, ())) if line)
    yield ""


def _rest(order: ClassOrder) -> Iterator[str]:
    yield from _policy(order)
    yield from _SCORE


def _policy(order: ClassOrder) -> Iterator[str]:
    """Costs grow with the distance and as a class is rarer, so that some are refused in a book of few defaults, too.

    A lost good applicant counts twice, once it is known who is one: so an applicant is called bad where the odds of it
    are twice those of the book, or more.
    """
    classes = order.classes
    yield "# EDIT: money that each mistake costs you, costs.ACTUAL = { ASSIGNED = money }; right answers cost 0."
    yield from (f"# They are {said}." for said in _said_of_costs(order))
    if order.decided:
        yield "# A good applicant called by the worst name is a false negative: lost business, which counts twice here."
    else:
        yield "# Both directions are treated alike until you have chosen an order; then say what each of them costs."
    yield "[policy.costs]"
    for actual, name in enumerate(classes):
        weight = _unit_cost(order, actual)
        row = ", ".join(f"{toml_text(a)} = {weight * abs(actual - assigned)}" for assigned, a in enumerate(classes))
        yield f"{toml_text(name)} = {{ {row} }}"
    yield ""


def _unit_cost(order: ClassOrder, actual: int) -> int:
    """Return 200 for a class whose share is that of all alike, more for a rarer one, to two digits; the best: twice."""
    total, own = sum(order.counts.values()), order.counts.get(order.classes[actual], 0)
    cost = _UNIT_COST * total / (len(order.classes) * own) if own else float(_UNIT_COST)
    unit = int(10 ** max(math.floor(math.log10(cost)) - 1, 0))
    return max(round(cost / unit) * unit, 1) * (2 if order.decided and actual == len(order.classes) - 1 else 1)


def _said_of_costs(order: ClassOrder) -> Iterator[str]:
    """Say what the drafted costs amount to, where labels say how rare each class is."""
    if not order.counts or not order.decided:
        return
    said, worst = "drafted the dearer the rarer a class is", order.classes[0]
    if len(order.classes) == 2:
        accepted, lost = _unit_cost(order, 0), _unit_cost(order, 1)
        share = order.counts[worst] / sum(order.counts.values())
        said += f", so an applicant is called {worst} from a probability of {lost / (lost + accepted):.0%} on"
        said += f" ({share:.0%} of the labels say {worst})"
    yield said


def _reasons(spec: Spec | None) -> tuple[list[str], dict[str, list[str]]]:
    """Return the opening of the reason dictionary, and the lines of each attribute and group."""
    opening: list[str] = []
    blocks: dict[str, list[str]] = {}
    block = opening
    for line in [] if spec is None else draft_reasons(spec):
        if line.startswith("[reasons.") and ".except." not in line:
            block = []
        elif line.startswith("of = [") and block is not opening:
            blocks[tomllib.loads(line)["of"][0]] = block
        block.append(line)
    return opening, blocks


def _order_looks(order: ClassOrder) -> Iterator[str]:
    if order is _NO_LABELS:
        return
    if order.decided:
        yield f"classes: {order.classes[0]} is taken as the worst and {order.classes[-1]} as the best, {order.reason}"
        return
    choices = " or ".join(class_choice(one).removeprefix("# ") for one in order.orders)
    yield f"classes: {order.reason}; take one line into the spec, worst first: {choices}"


def _looks(drafted: Drafted) -> Iterator[str]:
    if not drafted.taken:
        way = " (its lines are in the draft, commented out)" if drafted.lines else ""
        yield f"{drafted.name}: left out{way}: {drafted.reason}"
    elif drafted.looks:
        yield f"{drafted.name}: {'; '.join(drafted.looks)}"
