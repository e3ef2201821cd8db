"""Reasons: the codes that spoke against the applicant most, in the right words, the same at every door."""

import json
import math
import re
import shutil
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cli.explain_page import explain_page
from features.errors import BundleError, ExportError, SpecError
from features.matrix import build_features, list_features
from features.reason_codes import complete_reasons, translate
from features.spec import Spec
from features.spec_file import parse_spec
from model_export import export as export_module
from model_export.export import export, export_ensemble
from model_export.native_contributions import native_contributions
from model_export.reasons import make_book
from model_export.tabulate import tabulate
from model_export.trees import from_model
from recipes.dataset import SPECS, Dataset
from scoring.bundle import read_bundle
from scoring.decisions import decision_lines, flat_reasons
from scoring.explanation import explain_application
from scoring.machine import cpu_family
from scoring.reason_book import FeatureEntry, ReasonBook
from scoring.reasons import Explainer
from scoring.scorer import Scorer
from scoring.shap_tables import ShapTables
from tests.conftest import PROJECT, Credit
from tests.test_bundle import republish
from training.run import Trained

Records = list[list[dict[str, Any]]]
GERMAN = PROJECT / "recipes/dictionaries/synthetic.de.toml"


def plainly(
    against: NDArray[np.float64], matrix: NDArray[np.float32], entries: tuple[FeatureEntry, ...], *, best: bool
) -> Records:
    """The rules of docs/reasons.md in plain Python; `against` is rows x features."""
    result = []
    for values, row in zip(against.tolist(), matrix.tolist(), strict=True):
        sums: dict[str, float] = defaultdict(float)
        for entry, value in zip(entries, values, strict=True):
            sums[entry.code] += value
        ranked = sorted(sums, key=lambda code: (-float(np.float32(sums[code])), code))
        positive = [code for code in ranked if np.float32(sums[code]) > 0]
        result.append(
            [] if best else [_told(code, sums, values, row, entries) for code in (positive or ranked[:1])[:4]]
        )
    return result


def _told(
    code: str, sums: dict[str, float], values: list[float], row: list[float], entries: tuple[FeatureEntry, ...]
) -> dict[str, Any]:
    members = [i for i, entry in enumerate(entries) if entry.code == code]
    largest = max(members, key=lambda i: values[i])
    entry, x = entries[largest], row[largest]
    if math.isnan(x):
        text = entry.missing
    elif entry.median is None or x > np.float32(entry.median):
        text = entry.high
    elif x < np.float32(entry.median):
        text = entry.low
    else:
        text = getattr(entry, entry.at_median)
    return {"code": code, "text": text, "contribution": sums[code], "weak": np.float32(sums[code]) <= 0}


def close(found: Records, expected: Records, tolerance: float) -> None:
    assert [len(row) for row in found] == [len(row) for row in expected]
    for ours, theirs in zip(found, expected, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            assert {**a, "contribution": 0} == {**b, "contribution": 0}
            assert abs(a["contribution"] - b["contribution"]) <= tolerance


def test_reasons_are_those_of_xgboosts_own_contributions(trained: Trained, scorer: Scorer, dataset: Dataset) -> None:
    decisions = scorer.score(dataset.applications, dataset.events).decisions
    matrix = build_features(dataset.applications, dataset.events, trained.spec).matrix
    native = native_contributions(trained.model, from_model(trained.model), matrix)
    scale = trained.calibration.scale.astype(np.float64)
    for index, name in enumerate(trained.spec.classes):
        rows = (decisions["credit_class"] == name).to_numpy()
        assert rows.sum() > 20
        against = scale[index] * native[rows, :, index] - scale[2] * native[rows, :, 2]
        expected = plainly(against, matrix[rows], scorer.bundle.explainer.book.entries, best=index == 2)
        close(decisions.filter(rows)["reasons"].to_list(), expected, 1e-5)


def test_each_class_below_the_best_has_one_to_four_reasons_and_the_best_none(scorer: Scorer, dataset: Dataset) -> None:
    decisions = scorer.score(dataset.applications, dataset.events).decisions
    counts = decisions.group_by("credit_class").agg(pl.col("reasons").list.len().unique())
    by_class = {name: set(found) for name, found in counts.iter_rows()}
    assert by_class["Good"] == {0}
    assert by_class["Poor"] | by_class["Standard"] <= {1, 2, 3, 4}
    reasons = decisions.explode("reasons").drop_nulls("reasons").unnest("reasons")
    assert ((reasons["contribution"] > 0) != reasons["weak"]).all()
    assert set(reasons["code"]) <= {reason.code for reason in scorer.bundle.spec.reasons}


def test_where_nothing_spoke_against_the_applicant_the_nearest_reason_is_flagged_weak(
    scorer: Scorer, dataset: Dataset
) -> None:
    """A policy that refuses everybody refuses those too for whom every code speaks."""
    matrix = build_features(dataset.applications, dataset.events, scorer.bundle.spec).matrix
    explainer = scorer.bundle.explainer
    refused = explainer.reasons(matrix, np.zeros(len(matrix), dtype=np.int64))
    weak = refused.list.eval(pl.element().struct.field("weak")).list.any()
    assert 0 < weak.sum() < len(matrix)
    assert (refused.filter(weak).list.len() == 1).all()
    against = explainer.tables.against(matrix, 0).T
    close(refused.to_list(), plainly(against, matrix, explainer.book.entries, best=False), 1e-6)


@st.composite
def explained(draw: st.DrawFn) -> tuple[Explainer, NDArray[np.float32]]:
    """Trees of single splits over few features and values, so that ties and missing values abound."""
    count = draw(st.integers(1, 7))
    codes = draw(st.lists(st.sampled_from("ABCDEF"), min_size=count, max_size=count))
    entries = tuple(
        FeatureEntry(
            feature=f"f{i}",
            code=code,
            high=f"high {i}",
            low=f"low {i}",
            missing=f"missing {i}",
            median=draw(st.sampled_from([None, 0.0, 1.0])),
            at_median=draw(st.sampled_from(["high", "low"])),
        )
        for i, code in enumerate(codes)
    )
    weights = draw(st.lists(st.integers(-2, 2), min_size=2 * count, max_size=2 * count))
    tables = ShapTables(
        shape=np.array([count, 2], dtype=np.int32),
        condition_feature=np.arange(count, dtype=np.int32),
        threshold=np.ones(count, dtype=np.float32),
        at_least=np.zeros(count, dtype=np.bool_),
        group_conditions=np.array([[i, *[count] * 7] for i in range(count)], dtype=np.int32),
        entry_group=np.arange(count, dtype=np.int32),
        entry_feature=np.arange(count, dtype=np.int32),
        entry_class=np.zeros(count, dtype=np.int32),
        entry_start=np.arange(0, 2 * count, 2, dtype=np.int32),
        table=np.array(weights, dtype=np.int32),
        step=np.array(0.25),
        base_values=np.zeros(2),
        scale=np.ones(2),
    )
    cells = st.lists(st.sampled_from([0.0, 1.0, 2.0, np.nan]), min_size=count, max_size=count)
    rows = draw(st.lists(cells, min_size=1, max_size=8))
    return Explainer(tables, ReasonBook("en", "log-odds", entries)), np.array(rows, dtype=np.float32)


@given(explained())
def test_ties_go_by_code_and_words_follow_the_largest_member(case: tuple[Explainer, NDArray[np.float32]]) -> None:
    explainer, matrix = case
    found = explainer.reasons(matrix, np.zeros(len(matrix), dtype=np.int64))
    expected = plainly(explainer.tables.against(matrix, 0).T, matrix, explainer.book.entries, best=False)
    close(found.to_list(), expected, 0)
    for i in range(len(matrix)):
        alone = explainer.reasons(matrix[i : i + 1], np.zeros(1, dtype=np.int64))
        assert alone.equals(found[i : i + 1])
    many = explainer.reasons(np.tile(matrix, (60, 1)), np.zeros(60 * len(matrix), dtype=np.int64))
    assert many[: len(matrix)].equals(found)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3, np.nan], (2.0, "high")),  # contributions rise with the value
        ([0, 0, 0, 5], (0.0, "low")),  # the least value: 0 late fees are few, never many
        ([-5, 0, 0, 0], (0.0, "high")),
        ([1, 1, 1, 1], (1.0, "low")),
        ([np.nan] * 4, (None, "high")),
        ([123456.7, 123456.7, 0, 123456.7], (123500.0, "high")),  # four digits: no customer's exact income
    ],
)
def test_the_reference_median_and_how_a_value_at_it_reads(
    values: list[float], expected: tuple[float | None, str], spec: Spec, trained: Trained
) -> None:
    tables = tabulate(from_model(trained.model), trained.calibration.scale)
    names = [feature.name for feature in list_features(spec)]
    column = names.index("outstanding_debt")  # more debt speaks against the applicant
    matrix = np.repeat(trained.features.matrix[:4], 100, axis=0)
    matrix[:, column] = np.repeat(np.array(values, dtype=np.float32), 100)
    if expected[0] == 2.0:
        matrix[:, column] *= 1000
        expected = (2000.0, "high")
    entry = make_book(spec, tables, matrix, margins=True).entries[column]
    assert (entry.median, entry.at_median) == expected


def test_a_spec_without_a_code_for_a_feature_is_not_exported(trained: Trained, tmp_path: Path) -> None:
    reasons = tuple(reason for reason in trained.spec.reasons if reason.code != "DEBT")
    with pytest.raises(
        SpecError, match=r"reasons: no code for outstanding_debt\. A refused applicant must be told why"
    ):
        export(replace(trained, spec=replace(trained.spec, reasons=reasons)), tmp_path)
    assert not list(tmp_path.iterdir())


def test_training_refuses_such_a_spec_before_it_trains(tmp_path: Path, dataset: Dataset, credit: Credit) -> None:
    (tmp_path / "spec.toml").write_text(dataset.spec_text[: dataset.spec_text.index("[reasons.AGE]")])
    done = credit("train", tmp_path, "--bundles", tmp_path / "bundles")
    assert done.returncode == 2
    assert "reasons: no code for age, annual_income" in done.stderr
    assert "58 features" not in done.stderr
    assert "and 53 more" in done.stderr


def swapped(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


SPEC = (SPECS / "synthetic.toml").read_text()
DEBT = SPEC[SPEC.index("[reasons.DEBT]") : SPEC.index("[reasons.RUNNING_LOANS]")]
WRONG = [
    ('of = ["outstanding_debt"]', "", "reasons.DEBT.of: missing"),
    ('of = ["outstanding_debt"]', "of = []", "reasons.DEBT.of: expected attributes, RFM groups or features"),
    ('of = ["outstanding_debt"]', 'of = ["outstanding_det"]', "reasons.DEBT.of: 'outstanding_det' is no attribute"),
    ('of = ["outstanding_debt"]', 'of = ["outstanding_debt", "age"]', "reasons: age has two codes, AGE and DEBT"),
    (DEBT, DEBT + DEBT, "Cannot declare ('reasons', 'DEBT') twice"),
    (DEBT, DEBT + DEBT.replace("DEBT", "Debt"), "reasons.Debt: the same code as DEBT. Give each code once"),
    ("[reasons.DEBT]", '[reasons."MUCH DEBT"]', "reasons.MUCH DEBT: expected a code of up to 40 letters"),
    ("[reasons.DEBT]", f"[reasons.{'D' * 41}]", "expected a code of up to 40 letters"),
    ("You owe too much to other lenders", "x" * 200, "reasons.DEBT.high: 201 characters, expected at most 200"),
    ("You owe too much to other lenders", "\\n", "reasons.DEBT.high: expected a sentence on one line"),
    (
        'high = "You owe too much to other lenders."',
        'high = ""',
        "reasons.DEBT.high: expected a sentence",
    ),
    ('high = "You owe too much to other lenders."', "", "reasons.DEBT.high: missing, expected text"),
    ('high = "You owe too much to other lenders."', "high = 3", "reasons.DEBT.high: expected text"),
    ('except."loans=mortgage"', 'except."loans=morgage"', "reasons.RUNNING_LOANS.except: 'loans=morgage' is no"),
    ('except."loans=mortgage"', 'except."age"', "reasons.RUNNING_LOANS.except: 'age' is no"),
    (
        'name = "synthetic-lender"',
        'name = "synthetic-lender"\nlanguage = "English"',
        "language: expected a language tag",
    ),
]


@pytest.mark.parametrize(("old", "new", "named"), WRONG, ids=[named for _, _, named in WRONG])
def test_an_error_in_the_dictionary_names_the_key(old: str, new: str, named: str) -> None:
    with pytest.raises(SpecError, match=r"my\.toml") as error:
        parse_spec(swapped(SPEC, old, new), "my.toml")
    assert named in str(error.value)


def test_a_text_may_have_200_characters() -> None:
    longest = parse_spec(swapped(SPEC, "You owe too much to other lenders", "x" * 199)).reasons
    assert len(next(reason for reason in longest if reason.code == "DEBT").texts.high) == 200


def test_the_closest_selector_decides(spec: Spec) -> None:
    texts = {reason.feature: reason for reason in complete_reasons(spec)}
    assert {texts[f"loans={name}"].code for name in ("car loan", "mortgage", "none")} == {"RUNNING_LOANS"}
    assert texts["loans=mortgage"].texts.high == "You have a running mortgage."
    assert texts["loans=mortgage"].texts.missing == "Which loans you have is not known to us."
    apart = swapped(
        SPEC, 'of = ["outstanding_debt"]', 'of = ["outstanding_debt", "trouble_count_*", "trouble_count_90d"]'
    )
    apart = swapped(apart, 'of = ["credit_history"]', 'of = ["credit_history", "trouble_count_365d"]')
    apart = apart[: apart.index('[reasons.FEES_AND_OVERDRAFTS.except."trouble_count_*"]')]
    codes = {reason.feature: reason.code for reason in complete_reasons(parse_spec(apart))}
    assert codes["trouble_sum_90d"] == "FEES_AND_OVERDRAFTS"
    assert codes["trouble_count_90d"] == "DEBT"
    assert codes["trouble_count_365d"] == "CREDIT_HISTORY", "a name is closer than its beginning"


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.toml")), ids=lambda p: p.stem)
def test_every_recipe_has_a_complete_dictionary_of_sentences(path: Path) -> None:
    spec = parse_spec(path.read_text())
    for reason in complete_reasons(spec):
        for text in (reason.texts.high, reason.texts.low, reason.texts.missing):
            assert text.endswith("."), text
            assert "_" not in text, "an applicant does not know our column names"


def told(decisions: pl.DataFrame) -> pl.DataFrame:
    return decisions.select("application_id", "reasons").explode("reasons").drop_nulls().unnest("reasons")


def test_another_language_has_other_words_and_nothing_else(
    dataset: Dataset, bundle: Path, credit: Credit, tonight: Path
) -> None:
    folder = tonight / "train"
    folder.mkdir()
    for name in ("applications", "events", "labels"):
        getattr(dataset, name).write_parquet(folder / f"{name}.parquet")
    (folder / "spec.toml").write_text(dataset.spec_text)
    done = credit("train", folder, "--bundles", folder / "b", "--dictionary", GERMAN)
    assert done.returncode == 0, done.stderr
    german = Scorer.open(Path(done.stdout.splitlines()[-1]))
    assert german.bundle.explainer.book.language == "de"
    inputs = dataset.applications.head(200), dataset.events
    ours = german.score(*inputs).decisions
    theirs = Scorer.open(bundle).score(*inputs).decisions
    german_reasons, english_reasons = (told(decisions) for decisions in (ours, theirs))
    assert german_reasons.drop("text").equals(english_reasons.drop("text"))
    assert not set(german_reasons["text"]) & set(english_reasons["text"])
    letter = explain(credit, bundle, tonight, refused(theirs), "--dictionary", GERMAN)
    assert ours.filter(application_id=refused(theirs))["reasons"][0][0]["text"] in letter


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("[reasons.DEBT]", "[reasons.DEPT]", "reasons.DEBT: missing"),
        (
            "[reasons.AGE]",
            '[reasons.MORE]\nhigh = "a"\nlow = "b"\nmissing = "c"\n[reasons.AGE]',
            "reasons.MORE: the spec",
        ),
        ('except."loans=none"', 'except."loans=car loan"', "reasons.RUNNING_LOANS.except.loans=none: missing"),
        ("[reasons.DEBT]", '[reasons.DEBT]\nof = ["age"]', "reasons.DEBT.of: unknown key"),
        ('language = "de"', "", "language: missing"),
        ("Sie sind älter", "x" * 200, "characters, expected at most 200"),
        ("[reasons.DEBT]", "[reasons.AGE]", "Cannot declare"),
    ],
)
def test_a_dictionary_that_does_not_fit_is_refused(old: str, new: str, named: str, spec: Spec) -> None:
    with pytest.raises(SpecError, match=r"^my\.toml: ") as error:
        translate(spec, swapped(GERMAN.read_text(), old, new), "my.toml")
    assert named in str(error.value)


def test_a_dictionary_file_that_cannot_be_used_ends_with_its_code(bundle: Path, tonight: Path, credit: Credit) -> None:
    (tonight / "d.toml").write_text(GERMAN.read_text().replace("[reasons.DEBT]", "[reasons.DEPT]"))
    for name, code, message in (("d.toml", 2, "reasons.DEBT: missing"), ("none.toml", 1, "cannot be read")):
        done = credit("explain", *asked(bundle, tonight, "any"), "--dictionary", tonight / name)
        assert (done.returncode, message in done.stderr, name in done.stderr) == (code, True, True)


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


@pytest.mark.parametrize("change", ["text", "median", "table"])
def test_golden_rows_cover_reasons(change: str, bundle: Path, tmp_path: Path) -> None:
    """Hashes cannot see wrong words that were published; golden rows do, on a foreign CPU family as well."""
    folder = Path(shutil.copytree(bundle, tmp_path / bundle.name))
    if change == "table":
        tables = ShapTables.from_bytes((folder / "explain/shap.npz").read_bytes(), "")
        (folder / "explain/shap.npz").write_bytes(replace(tables, table=tables.table + np.int32(1000)).to_bytes())
    else:
        book = json.loads((folder / "explain/reasons.json").read_text())
        for entry in book["features"]:
            entry.update({"high": "Other words."} if change == "text" else {"median": 1e9})
        (folder / "explain/reasons.json").write_text(json.dumps(book))
    for family in (cpu_family(), "another"):
        folder = republish(folder, lambda manifest, family=family: manifest.update(cpu_family=family))  # type: ignore[misc]
        with pytest.raises(BundleError, match=r"golden rows come out differently .* classes and reasons differ"):
            Scorer.open(folder)


@pytest.mark.parametrize(
    "damage", ["{}", '{"language": "en", "unit": "log-odds", "features": []}', "[", '{"features": 3}']
)
def test_a_dictionary_file_that_is_damaged_is_refused(damage: str, bundle: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(bundle, tmp_path / bundle.name))
    (folder / "explain/reasons.json").write_text(damage)
    with pytest.raises(BundleError, match=r"explain/reasons\.json: "):
        read_bundle(republish(folder))


def test_the_gate_closes_on_a_wrong_cover(trained: Trained, tmp_path: Path) -> None:
    """No prediction depends on covers, so only the comparison of contributions sees it."""
    ensemble = from_model(trained.model)
    cover = ensemble.trees[0].cover.copy()
    cover[np.flatnonzero(ensemble.trees[0].left < 0)[0]] *= 2
    damaged = replace(ensemble, trees=(replace(ensemble.trees[0], cover=cover), *ensemble.trees[1:]))
    with pytest.raises(ExportError, match=r"the contribution of .* differs from the native library's|do not add up"):
        export_ensemble(trained, damaged, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: replace(t, base_values=t.base_values + 1e-4), "do not add up to the model's raw score"),
        (
            lambda t: replace(t, entry_feature=t.entry_feature[::-1].copy()),
            "the contribution of .* differs from the native",
        ),
    ],
)
def test_the_gate_closes_on_wrong_tables(
    damage: Any, message: str, trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_module, "tabulate", lambda ensemble, scale: damage(tabulate(ensemble, scale)))
    with pytest.raises(ExportError, match=message):
        export(trained, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_certificate_covers_contributions(bundle: Path) -> None:
    contributions = read_bundle(bundle).manifest["parity"]["contributions"]
    assert 0 < contributions["largest_difference"] <= contributions["tolerance"] == 1e-5
    assert 0 < contributions["largest_sum_difference"] <= 1e-5
    assert contributions["rows"] > contributions["native_rows"] > 500
