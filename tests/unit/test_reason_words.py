"""Dictionaries: every feature has its words, in any language, and a wrong one is refused by name."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from features.errors import SpecError
from features.protected import declared_protected
from features.reason_codes import complete_reasons, translate
from features.spec.contract import Spec
from features.spec.file import parse_spec
from model_export.export import export
from recipes.dataset import SPECS, Dataset
from scoring.scorer import Scorer
from tests.conftest import PROJECT, Credit
from tests.unit.test_explain import asked, explain, refused
from training.run import Trained

GERMAN = PROJECT / "recipes/dictionaries/synthetic.de.toml"


def test_a_spec_without_a_code_for_a_feature_is_not_exported(trained: Trained, tmp_path: Path) -> None:
    reasons = tuple(reason for reason in trained.spec.reasons if reason.code != "DEBT")
    with pytest.raises(
        SpecError, match=r"reasons: no code for outstanding_debt\. A refused applicant must be told why"
    ):
        export(replace(trained, spec=replace(trained.spec, reasons=reasons)), tmp_path)
    assert not list(tmp_path.iterdir())


def test_training_refuses_such_a_spec_before_it_trains(tmp_path: Path, dataset: Dataset, credit: Credit) -> None:
    (tmp_path / "spec.toml").write_text(dataset.spec_text[: dataset.spec_text.index("[reasons.EMPLOYMENT]")])
    done = credit("train", tmp_path, "--bundles", tmp_path / "bundles")
    assert done.returncode == 2
    assert "reasons: no code for months_employed, annual_income" in done.stderr
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
    (
        'of = ["outstanding_debt"]',
        'of = ["outstanding_debt", "months_employed"]',
        "reasons: months_employed has two codes, EMPLOYMENT and DEBT",
    ),
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
    ('except."loans=mortgage"', 'except."months_employed"', "reasons.RUNNING_LOANS.except: 'months_employed' is no"),
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


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.toml")), ids=lambda p: p.stem)
def test_no_recipe_decides_by_a_protected_attribute(path: Path) -> None:
    assert not list(declared_protected(parse_spec(path.read_text())))


def told(decisions: pl.DataFrame) -> pl.DataFrame:
    return decisions.select("application_id", "reasons").explode("reasons").drop_nulls().unnest("reasons")


@pytest.mark.slow
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
            "[reasons.EMPLOYMENT]",
            '[reasons.MORE]\nhigh = "a"\nlow = "b"\nmissing = "c"\n[reasons.EMPLOYMENT]',
            "reasons.MORE: the spec",
        ),
        ('except."loans=none"', 'except."loans=car loan"', "reasons.RUNNING_LOANS.except.loans=none: missing"),
        ("[reasons.DEBT]", '[reasons.DEBT]\nof = ["months_employed"]', "reasons.DEBT.of: unknown key"),
        ('language = "de"', "", "language: missing"),
        ("Sie arbeiten länger", "x" * 200, "characters, expected at most 200"),
        ("[reasons.DEBT]", "[reasons.EMPLOYMENT]", "Cannot declare"),
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
