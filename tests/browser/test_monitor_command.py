"""`credit monitor` as a user runs it: log and files, alarms, bad input, the page."""

import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from recipes.dataset import Dataset
from recipes.synthetic import synthetic
from scoring.bundle.folder import canonical_json, read_bundle, sha256
from scoring.scorer import Scorer
from tests.chromium import Page, headless
from tests.conftest import Credit
from tests.monitored import score, write

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def night() -> Dataset:
    return synthetic(1200, seed=41)


@pytest.fixture(scope="module")
def folder(night: Dataset, bundle: Path, credit: Credit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log that the batch wrote, with the decisions and the tables that were scored."""
    folder = tmp_path_factory.mktemp("monitor")
    night.applications.write_csv(folder / "applications.csv")
    night.events.write_parquet(folder / "events.parquet")
    night.labels.write_csv(folder / "labels.csv")
    inputs = ("--applications", folder / "applications.csv", "--events", folder / "events.parquet")
    done = credit("score", "--bundle", bundle, *inputs, "--out", folder / "decisions.csv", "--log", folder / "log")
    assert done.returncode == 0, done.stderr
    return folder


def files(folder: Path) -> list[object]:
    names = {"--decisions": "decisions.csv", "--applications": "applications.csv", "--events": "events.parquet"}
    return [part for option, name in names.items() for part in (option, folder / name)]


def test_log_and_files_say_the_same_and_twice_the_same_bytes(
    folder: Path, bundle: Path, credit: Credit, tmp_path: Path
) -> None:
    log = shutil.copytree(folder / "log", tmp_path / "log")
    strict = credit("outcomes", "add", log, "--labels", folder / "labels.csv")
    assert strict.returncode == 1
    assert "--skip-unknown" in strict.stderr
    added = credit("outcomes", "add", log, "--labels", folder / "labels.csv", "--skip-unknown")
    assert added.returncode == 0, added.stderr
    pages = []
    for name, source in (
        ("a", [log]),
        ("b", [log]),
        ("c", [*files(folder), "--labels", folder / "labels.csv"]),
    ):
        done = credit("monitor", *source, "--bundle", bundle, "--out", tmp_path / f"{name}.html")
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.startswith("GREEN: ")
        pages.append((tmp_path / f"{name}.html").read_bytes() + (tmp_path / f"{name}.json").read_bytes())
    assert pages[0] == pages[1]
    page, said = ([(tmp_path / f"{name}.{kind}").read_text() for name in "ac"] for kind in ("html", "json"))
    of_log, of_files = map(json.loads, said)
    assert page[0] == page[1]
    assert (of_log["matches"], of_files["matches"]["applications"] > 0) == (None, True), "a log holds no events"
    assert {**of_log, "matches": None} == {**of_files, "matches": None}
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["statement"]["state"] == "confirmed"
    assert found["outcomes"]["cohorts"][0]["where"] == "whole window"
    assert sum(found["window"]["periods"].values()) == found["window"]["decisions"] > 2000


def test_an_alarm_ends_with_8_and_fail_on_chooses(
    scorer: Scorer, night: Dataset, bundle: Path, credit: Credit, tmp_path: Path
) -> None:
    blank = night.applications.with_columns(credit_utilisation=pl.lit(""))
    log = write(tmp_path / "log", scorer, score(scorer, night, blank).frame)
    run = ("monitor", log, "--bundle", bundle, "--out", tmp_path / "m.html")
    alarmed = credit(*run)
    assert alarmed.returncode == 8
    assert re.match(r"(AMBER|RED): \w+: missing rate of credit_utilisation", alarmed.stdout)
    assert credit(*run, "--fail-on", "performance,doors").returncode == 0
    assert credit(*run, "--fail-on", "none").returncode == 0
    wrong = credit(*run, "--fail-on", "drifts")
    assert wrong.returncode == 2
    page = (tmp_path / "m.html").read_text()
    for said in ("What to do", "Threshold", "Reason", "100.0% of"):
        assert said in page


def test_a_window_is_cut_by_as_of_and_an_empty_one_is_an_error(
    folder: Path, bundle: Path, credit: Credit, tmp_path: Path
) -> None:
    run = ("monitor", folder / "log", "--bundle", bundle, "--out", tmp_path / "m.html")
    done = credit(*run, "--since", "2025-03-01", "--until", "2025-04-01")
    assert done.returncode == 0, done.stderr
    window = json.loads((tmp_path / "m.json").read_text())["window"]
    assert window["first"][:7] == window["last"][:7] == "2025-03"
    empty = credit(*run, "--since", "2031-01-01")
    assert empty.returncode == 1
    assert "no decision in this window" in empty.stderr


def test_bundles_without_a_reference_or_without_decisions_are_refused_in_words(
    folder: Path, bundle: Path, credit: Credit, tmp_path: Path
) -> None:
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    del manifest["files"]["reference.json"]
    old = tmp_path / sha256(canonical_json(manifest))
    shutil.copytree(bundle, old)
    (old / "reference.json").unlink()
    (old / "manifest.json").write_bytes(canonical_json(manifest))
    read_bundle(old)  # serves as before
    refused = credit("monitor", folder / "log", "--bundle", old, "--out", tmp_path / "m.html")
    assert refused.returncode == 2
    assert "holds no reference.json" in refused.stderr
    assert "train or export the model again" in refused.stderr
    changed = shutil.copytree(bundle, tmp_path / "x" / bundle.name)
    (changed / "reference.json").write_bytes((bundle / "reference.json").read_bytes() + b" ")
    assert credit("monitor", folder / "log", "--bundle", changed, "--out", tmp_path / "m.html").returncode == 2
    assert not (tmp_path / "m.html").exists()


def test_a_bundle_that_decided_nothing_is_named(
    scorer: Scorer, night: Dataset, bundle: Path, credit: Credit, tmp_path: Path
) -> None:
    frame = score(scorer, night).frame.head(100).with_columns(pl.lit("0" * 64).alias("bundle_id"))
    log = write(tmp_path / "log", scorer, frame)
    refused = credit("monitor", log, "--bundle", bundle, "--out", tmp_path / "m.html")
    assert refused.returncode == 1
    assert "holds no decision of the bundle" in refused.stderr


def test_log_and_files_do_not_mix_and_labels_must_belong(
    folder: Path, bundle: Path, credit: Credit, tmp_path: Path
) -> None:
    out = ("--bundle", bundle, "--out", tmp_path / "m.html")
    assert credit("monitor", folder / "log", *files(folder), *out).returncode == 2
    assert credit("monitor", *files(folder)[:4], *out).returncode == 2
    labels = pl.read_csv(folder / "labels.csv")
    wrong = {
        "not in the applications file": labels.with_columns(application_id="X" + pl.col("application_id")),
        "another row names too": pl.concat([labels, labels.head(1)]),
        "none of Poor, Standard, Good": labels.with_columns(credit_class=pl.lit("Excellent")),
        "dated before": labels.with_columns(outcome_at=pl.lit("2020-01-01")),
        "not one row": labels.clear(),
    }
    for said, table in wrong.items():
        table.write_parquet(tmp_path / "labels.parquet")
        refused = credit("monitor", *files(folder), "--labels", tmp_path / "labels.parquet", *out)
        assert refused.returncode == 1, said
        assert said in refused.stderr or "no rows" in refused.stderr
    assert not (tmp_path / "m.html").exists()


def test_doors_that_differ_raise_an_alarm_and_a_rerun_does_not(
    scorer: Scorer, night: Dataset, bundle: Path, credit: Credit, tmp_path: Path
) -> None:
    frame = score(scorer, night).frame.head(600)
    log = write(tmp_path / "log", scorer, frame)
    write(log, scorer, frame)  # a run was done again
    write(log, scorer, frame.head(300), door="rest")  # the same applications, the same bits
    run = ("monitor", log, "--bundle", bundle, "--out", tmp_path / "m.html", "--fail-on", "doors")
    same = credit(*run)
    assert same.returncode == 0, same.stdout + same.stderr
    found = json.loads((tmp_path / "m.json").read_text())
    assert (found["doors"]["compared"], found["doors"]["differing"]) == (300, 0)
    assert found["window"]["doors"] == {"batch": 600, "rest": 300}
    assert "newest receipts: batch 2026-01-05 00:00Z, rest 2026-01-05 00:00Z" in same.stdout
    last = frame.tail(50)
    ids = pl.Series("decision_id", [sha256(name.encode()) for name in last["decision_id"]])
    write(log, scorer, last.with_columns(ids), door="stream")
    differ = credit(*run)
    assert differ.returncode == 8
    assert "doors decided the same application differently" in differ.stdout
    found = json.loads((tmp_path / "m.json").read_text())
    assert (found["doors"]["differing"], found["doors"]["between"]) == (50, ["batch", "stream"])
    assert set(found["doors"]["decision_ids"]) & set(ids)


def test_selection_and_immature_months_are_named(
    scorer: Scorer, night: Dataset, bundle: Path, credit: Credit, tmp_path: Path
) -> None:
    frame = score(scorer, night).frame
    log = write(tmp_path / "log", scorer, frame)
    accepted = frame.filter(pl.col("credit_class") != "Poor").select("application_id", "as_of")
    labels = night.labels.join(accepted, on="application_id").with_columns(
        outcome_at=pl.lit(datetime(2026, 2, 1, tzinfo=UTC))
    )
    labels.drop("as_of").write_parquet(tmp_path / "labels.parquet")
    assert credit("outcomes", "add", log, "--labels", tmp_path / "labels.parquet").returncode == 0
    done = credit("monitor", log, "--bundle", bundle, "--out", tmp_path / "m.html")
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = json.loads((tmp_path / "m.json").read_text())["outcomes"]
    assert outcomes["refused_unknown"]
    assert outcomes["immature"] == ["2025-11", "2025-12"]
    whole = {m["metric"]: m["value"] for m in outcomes["cohorts"][0]["metrics"]}
    assert whole["precision"] is not None
    assert whole["recall"] is whole["false_negative_rate"] is whole["expected_cost"] is None
    assert min(multiple for multiple, _ in outcomes["cut_offs"]["curve"]) >= 0.999
    assert "turned down" in (tmp_path / "m.html").read_text()


@pytest.fixture(scope="module")
def browser_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with headless(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest.mark.browser
def test_the_page_works_offline_on_a_phone_and_in_print(
    folder: Path, bundle: Path, credit: Credit, browser_page: Page, tmp_path: Path
) -> None:
    out = tmp_path / "m.html"
    done = credit("monitor", *files(folder), "--labels", folder / "labels.csv", "--bundle", bundle, "--out", out)
    assert done.returncode == 0, done.stderr
    text = out.read_text()
    assert not re.search(r"<script|<iframe|@import|url\((?!#)|#0\d0\w0\w", text)
    first = re.search(r'<div class="light green".*?</div>', text)
    assert first is not None
    assert text.index("<h2>") > first.start(), "the light comes first"
    page = browser_page
    for width, dark in ((1200, False), (360, False), (360, True)):
        page.open(out, width, dark=dark)
        assert len(page.screenshot()) > 50_000
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.querySelectorAll('svg.plot').length") >= 12
    assert page.evaluate("[...document.querySelectorAll('svg.plot')].every(s => s.ariaLabel.length > 40)")
    page.open(out, 1200, medium="print")
    assert len(page.pdf()) > 50_000
    assert page.complaints == []
    assert {url.partition(":")[0] for url in page.requests} <= {"file", "data"}
