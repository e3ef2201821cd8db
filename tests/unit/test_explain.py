"""`credit explain` and the reasons in files: the letter, the page, flat columns and lists."""

import json
import re
from pathlib import Path

import polars as pl

from cli.explain.explain_page import explain_page
from recipes.dataset import Dataset
from scoring.decisions import decision_lines, flat_reasons
from scoring.explanation import explain_application
from scoring.scorer import Scorer
from tests.conftest import Credit


def asked(bundle: Path, folder: Path, application_id: str) -> list[object]:
    inputs = ["--applications", folder / "applications.csv", "--events", folder / "events.csv"]
    return ["--bundle", bundle, *inputs, "--application-id", application_id]


def explain(credit: Credit, bundle: Path, folder: Path, application_id: str, *options: object) -> str:
    done = credit("explain", *asked(bundle, folder, application_id), *options)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def refused(decisions: pl.DataFrame) -> str:
    return str(decisions.filter(credit_class="Poor")["application_id"][0])


def test_explain_prints_the_letter_and_what_moved_it(
    scorer: Scorer, bundle: Path, dataset: Dataset, tonight: Path, credit: Credit
) -> None:
    decisions = scorer.score(dataset.applications.head(200), dataset.events).decisions
    row = decisions.filter(application_id=refused(decisions)).to_dicts()[0]
    said = explain(credit, bundle, tonight, row["application_id"])
    assert f"Poor, {row['credit_score']} points" in said
    for number, reason in enumerate(row["reasons"], start=1):
        assert f"  {number}. {reason['text']}  [{reason['code']} {reason['contribution']:+.3f}]" in said
    assert "in log-odds of Poor against Good: + speaks against the applicant" in said
    found = json.loads(explain(credit, bundle, tonight, row["application_id"], "--json"))
    (line,) = decision_lines(decisions.filter(application_id=row["application_id"]))
    assert found["decision"] == json.loads(line), "the decision is written as the doors write it"
    assert len(found["features"]) == 58
    sizes = [abs(record["contribution"]) for record in found["features"]]
    assert sizes == sorted(sizes, reverse=True)


def test_the_page_needs_no_network_and_escapes_what_is_not_ours(
    scorer: Scorer, bundle: Path, dataset: Dataset, tonight: Path, credit: Credit
) -> None:
    decisions = scorer.score(dataset.applications.head(200), dataset.events).decisions
    page = tonight / "why.html"
    said = explain(credit, bundle, tonight, refused(decisions), "--html", page)
    assert said.splitlines()[-1] == str(page)
    text = page.read_text()
    assert all(reason["text"] in text for reason in decisions.filter(application_id=refused(decisions))["reasons"][0])
    assert not re.search(r"https?:|src=|<script|@import|url\(", text)
    assert 'name="viewport"' in text
    assert "prefers-color-scheme: dark" in text
    evil = dataset.applications.with_columns(application_id=pl.lit("<b>&") + pl.col("application_id"))
    explanation = explain_application(scorer, evil, dataset.events, "<b>&" + refused(decisions))
    assert "<b>" not in explain_page(explanation, scorer.bundle.spec, "en")


def test_explain_gives_the_best_class_no_reasons(scorer: Scorer, dataset: Dataset) -> None:
    decisions = scorer.score(dataset.applications.head(200), dataset.events).decisions
    good = decisions.filter(credit_class="Good")["application_id"][0]
    explanation = explain_application(scorer, dataset.applications, dataset.events, good)
    assert explanation.decision["reasons"] == []
    assert explanation.classes[1] == "Good"
    assert explanation.classes[0] in ("Poor", "Standard")


def test_explain_says_what_is_wrong_with_an_application(bundle: Path, tonight: Path, credit: Credit) -> None:
    done = credit("explain", *asked(bundle, tonight, "A7-unknown"))
    assert (done.returncode, "no such application" in done.stderr) == (1, True)
    rejects = credit("explain", *asked(bundle, tonight, "A7-0000000"), "--html", tonight / "applications.csv")
    assert rejects.returncode == 2
    assert "is or lies in the input" in rejects.stderr


def test_csv_has_flat_columns_and_parquet_the_list(
    scorer: Scorer, bundle: Path, dataset: Dataset, tonight: Path, credit: Credit
) -> None:
    decisions = scorer.score(dataset.applications.head(200), dataset.events).decisions
    for suffix in ("csv", "parquet"):
        inputs = ("--applications", tonight / "applications.csv", "--events", tonight / "events.csv")
        done = credit("score", "--bundle", bundle, *inputs, "--out", tonight / f"d.{suffix}")
        assert done.returncode == 0, done.stderr
    assert pl.read_parquet(tonight / "d.parquet")["reasons"].equals(decisions["reasons"])
    flat = pl.read_csv(
        tonight / "d.csv", schema_overrides={f"reason_{i}_contribution": pl.Float32 for i in range(1, 5)}
    )
    assert flat.select(pl.col("^reason_.*$")).equals(flat_reasons(decisions).select(pl.col("^reason_.*$")))
    for row, reasons in zip(flat.to_dicts(), decisions["reasons"].to_list(), strict=True):
        for i in range(4):
            told = reasons[i] if i < len(reasons) else dict.fromkeys(("code", "text", "contribution"))
            assert all(row[f"reason_{i + 1}_{key}"] == told[key] for key in ("code", "text", "contribution"))
    for suffix in ("csv", "parquet"):
        labels = tonight / "labels.parquet"
        dataset.labels.write_parquet(labels)
        done = credit("evaluate", "--decisions", tonight / f"d.{suffix}", "--labels", labels)
        assert done.returncode == 0, done.stderr
