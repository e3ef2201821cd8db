"""A battery of hostile inputs, each a kind of file or cell that was seen somewhere, with what becomes of it.

`python -m tests.hostile > docs/hostile-input.md` writes the table; a test keeps it current.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from batch.job import BatchJob, run_batch
from features.errors import CreditError
from features.spec.file import parse_spec
from model_export.export import export
from recipes.synthetic import synthetic
from scoring.scorer import Scorer
from tests.hostile_cells import COLUMNS, INSTANTS, NUMBERS, TEXTS
from tests.hostile_files import STRUCTURES
from training.data import TrainingData
from training.fit.fit import ModelKind
from training.run import train

APPLICATION = {
    "application_id": "A1",
    "customer_id": "C1",
    "as_of": "2025-06-30",
    "months_employed": "41",
    "annual_income": "30000.50",
    "occupation": "nurse",
    "credit_history": "10 Years and 3 Months",
    "credit_utilisation": "12.5",
    "credit_enquiries": "2",
    "credit_mix": "Good",
    "outstanding_debt": "1000",
    "loans": "mortgage",
}

EVENT = {"customer_id": "C1", "occurred_at": "2025-06-01", "kind": "salary", "amount": "2500.00", "recorded_at": ""}

TYPED = {
    "applications": (
        "application_id",
        "as_of",
        "months_employed",
        "annual_income",
        "credit_mix",
        "loans",
    ),
    "events": ("occurred_at", "kind", "amount"),
}


@dataclass(frozen=True)
class Case:
    """A hostile input: `write` puts it beside a good applications and events file and says what to score."""

    group: str
    name: str
    write: Callable[[Path], dict[str, Path]]


def table(row: dict[str, str], **cells: str) -> pl.DataFrame:
    good = {**row, **({"application_id": "A2", "customer_id": "C2"} if "application_id" in row else {})}
    return pl.DataFrame([{**row, **cells}, good] if "application_id" in row else [{**row, **cells}])


def cell_case(group: str, which: str, column: str, name: str, value: str) -> Case:
    def write(folder: Path) -> dict[str, Path]:
        path = folder / f"{which}.csv"
        table(APPLICATION if which == "applications" else EVENT, **{column: value}).write_csv(path)
        return {which: path}

    return Case(group, f"{column}: {name}", write)


def typed_case(which: str, column: str, name: str, values: pl.Series) -> Case:
    def write(folder: Path) -> dict[str, Path]:
        path = folder / f"{which}.parquet"
        row = APPLICATION if which == "applications" else EVENT
        pl.DataFrame([row]).with_columns(values.alias(column)).write_parquet(path)
        return {which: path}

    return Case("Parquet types", f"{which}.{column}: {name}", write)


def structure_case(name: str, change: Callable[[str], bytes]) -> Case:
    def write(folder: Path) -> dict[str, Path]:
        path = folder / "applications.csv"
        path.write_bytes(change(table(APPLICATION).write_csv()))
        return {"applications": path}

    return Case("CSV files", name, write)


CELLS: list[tuple[str, str, str, dict[str, str]]] = [
    ("cells of a number", "applications", "credit_utilisation", NUMBERS),
    ("cells of money", "applications", "annual_income", NUMBERS),
    ("cells of an integer", "applications", "months_employed", NUMBERS),
    ("cells of a category", "applications", "credit_mix", TEXTS),
    ("cells of a duration", "applications", "credit_history", TEXTS),
    ("cells of a list", "applications", "loans", TEXTS),
    ("identifiers", "applications", "application_id", TEXTS),
    ("identifiers", "applications", "customer_id", TEXTS),
    ("instants", "applications", "as_of", INSTANTS),
    ("instants", "events", "occurred_at", INSTANTS),
    ("instants", "events", "recorded_at", INSTANTS),
    ("amounts of events", "events", "amount", NUMBERS),
    ("kinds of events", "events", "kind", TEXTS),
]


def cases() -> Iterator[Case]:
    for group, which, column, cells in CELLS:
        yield from (cell_case(group, which, column, name, value) for name, value in cells.items())
    yield from (structure_case(name, change) for name, change in STRUCTURES.items())
    for which, columns in TYPED.items():
        for column in columns:
            yield from (typed_case(which, column, name, values) for name, values in COLUMNS.items())


def outcome(case: Case, scorer: Scorer, folder: Path) -> str:
    """Score the case: a decision (with what became missing), a named reject, or a named refusal."""
    paths = {"applications": folder / "good-applications.csv", "events": folder / "good-events.csv"}
    table(APPLICATION).write_csv(paths["applications"])
    table(EVENT).write_csv(paths["events"])
    paths |= case.write(folder)
    job = BatchJob(
        applications=paths["applications"], events=paths["events"], out=folder / "decisions.csv", max_reject_share=1
    )
    try:
        run = run_batch(job, scorer)
    except CreditError as error:
        return f"refused: {' '.join(str(error).replace(str(folder) + '/', '').split('. ')[0].split())}"[:150]
    if run["applications"] != run["decisions"] + run["rejected_applications"]:
        raise AssertionError(run)
    if run["rejects_by_code"]:
        return "rejected: " + ", ".join(run["rejects_by_code"])
    dirt = {f"{d['column']} {d['cause']}" for d in run["dirt"]}
    return "decided" + (f", counted as missing: {', '.join(sorted(dirt))}" if dirt else "")


def document(outcomes: dict[tuple[str, str], str]) -> str:
    lines = [
        "# Hostile input",
        "",
        f"What becomes of {len(outcomes)} kinds of bad files and cells: a decision (what cannot be used is missing and",
        "counted), a named reject, or a named refusal of the file. `python -m tests.hostile` writes, a test runs it.",
    ]
    group = ""
    for (of, name), result in outcomes.items():
        if of != group:
            group = of
            lines += ["", f"## {group[0].upper()}{group[1:]}", "", "| input | outcome |", "| --- | --- |"]
        lines.append(f"| {escaped(name)} | {escaped(result)} |")
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|")


def run_all(scorer: Scorer) -> dict[tuple[str, str], str]:
    results = {}
    for case in cases():
        with tempfile.TemporaryDirectory() as folder:
            results[case.group, case.name] = outcome(case, scorer, Path(folder))
    return results


def main() -> None:
    dataset = synthetic(300, seed=7)
    spec = parse_spec(dataset.spec_text)
    trained = train(TrainingData(dataset.applications, dataset.events, dataset.labels), spec, ModelKind.DECISION_TREE)
    with tempfile.TemporaryDirectory() as folder:
        scorer = Scorer.open(export(trained, Path(folder)))
        sys.stdout.write(document(run_all(scorer)))


if __name__ == "__main__":
    main()
