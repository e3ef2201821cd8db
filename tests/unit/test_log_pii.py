"""Personal data: stored keyed, found with the key, checked by replay, and gone from the disk as it is."""

import json
import os
from pathlib import Path

import polars as pl
import pytest

from features.errors import SpecError
from features.spec.contract import Spec
from features.spec.file import parse_spec
from model_export.export import export
from receipts.log.read import frames
from receipts.pii import Pseudonymiser, keyed, read_key
from recipes.dataset import Dataset
from scoring.message.from_tables import to_messages
from scoring.scorer import Scorer
from tests.conftest import Credit
from training.data import TrainingData
from training.fit.fit import ModelKind
from training.run import train

PHONE = '\n[attributes.phone]\nkind = "text"\nmissing_tokens = ["none"]\n'
PII = 'pii = ["application_id", "customer_id", "phone"]\n'
KEY = "0123456789abcdef0123456789abcdef"


def with_phone(dataset: Dataset) -> pl.DataFrame:
    """Applications with a column that feeds no feature; some have none."""
    numbers = pl.format("+41 79 {}", pl.int_range(pl.len()) + 1_000_000)
    return dataset.applications.with_columns(phone=pl.when(pl.int_range(pl.len()) % 5 > 0).then(numbers))


@pytest.fixture(scope="module")
def pii_spec(dataset: Dataset) -> Spec:
    return parse_spec(PII + dataset.spec_text + PHONE)


@pytest.fixture(scope="module")
def pii_bundle(dataset: Dataset, pii_spec: Spec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    trained = train(
        TrainingData(with_phone(dataset), dataset.events, dataset.labels), pii_spec, ModelKind.DECISION_TREE
    )
    return export(trained, tmp_path_factory.mktemp("pii"))


@pytest.fixture(scope="module")
def night(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("night")
    applications = with_phone(dataset).head(60)
    applications.write_csv(folder / "applications.csv")
    events = dataset.events.join(applications, on="customer_id", how="semi")
    events.write_csv(folder / "events.csv", datetime_format="%Y-%m-%dT%H:%M:%S%.6fZ")
    (folder / "key").write_text(KEY + "\n")
    return folder


@pytest.fixture(scope="module", params=["features", "full"])
def log(request: pytest.FixtureRequest, night: Path, pii_bundle: Path, credit: Credit) -> Path:
    log = night / f"log-{request.param}"
    done = credit(*score(night, pii_bundle, log), "--receipts", request.param, "--pii-key", night / "key")
    assert done.returncode == 0, done.stderr
    return log


def score(night: Path, bundle: Path, log: Path) -> list[object]:
    inputs = ["--applications", night / "applications.csv", "--events", night / "events.csv"]
    return ["score", "--bundle", bundle, *inputs, "--out", night / "decisions.csv", "--log", log]


@pytest.mark.slow
def test_a_text_attribute_feeds_no_feature(dataset: Dataset, pii_bundle: Path, scorer: Scorer) -> None:
    plain = scorer.score(dataset.applications.head(60), dataset.events)
    kept = Scorer.open(pii_bundle).score(with_phone(dataset).head(60), dataset.events)
    assert kept.features.tobytes() == plain.features.tobytes()
    assert kept.dirt.filter(column="phone")["cause"].to_list() == ["missing"]
    token = with_phone(dataset).head(60).with_columns(phone=pl.lit(" none "))
    counted = Scorer.open(pii_bundle).score(token, dataset.events).dirt.filter(column="phone")
    assert counted["cause"].to_list() == ["missing_token"]


def test_nothing_personal_lies_on_the_disk(log: Path, night: Path) -> None:
    applications = pl.read_csv(night / "applications.csv", infer_schema=False)
    stored = pl.concat(list(frames(log)))
    text = stored.write_json()
    for name in ("application_id", "customer_id", "phone"):
        for value in applications[name].drop_nulls().unique():
            assert value.strip() not in text
    decisions = pl.read_csv(night / "decisions.csv", infer_schema=False)
    assert not set(decisions["decision_id"]) & set(stored["decision_id"])
    assert set(stored["decision_id"]) == {keyed(KEY.encode(), "decision_id", d) for d in decisions["decision_id"]}


def test_receipts_are_found_by_the_plain_id_with_the_key(log: Path, night: Path, credit: Credit) -> None:
    decision = pl.read_csv(night / "decisions.csv", infer_schema=False).row(7, named=True)
    for column in ("application_id", "customer_id", "decision_id"):
        option = f"--{column.replace('_', '-')}"
        done = credit("log", "find", log, option, decision[column], "--pii-key", night / "key", "--json")
        assert decision["credit_score"] in {str(r["decision"]["credit_score"]) for r in json.loads(done.stdout)}
        lost = credit("log", "find", log, option, decision[column])
        assert (lost.returncode, "stored keyed: give the file of the key with --pii-key" in lost.stderr) == (1, True)


def test_replay_checks_the_decision_id_on_the_keyed_form(
    log: Path, night: Path, pii_bundle: Path, credit: Credit
) -> None:
    report = json.loads(credit("replay", log, "--bundles", pii_bundle, "--json").stdout)
    assert (report["different"], report["receipts"] > 50) == (0, True)
    decision = pl.read_csv(night / "decisions.csv", infer_schema=False)["decision_id"][3]
    one = credit("replay", log, "--bundles", pii_bundle, "--decision-id", decision, "--pii-key", night / "key")
    assert (one.returncode, "Every bit of 1 decisions agrees." in one.stdout) == (0, True)


def test_one_customer_is_erased_by_the_plain_id(log: Path, night: Path, credit: Credit) -> None:
    customer = pl.read_csv(night / "applications.csv", infer_schema=False)["customer_id"][20]
    before = pl.concat(list(frames(log))).height
    done = credit("log", "erase", log, "--customer-id", customer, "--pii-key", night / "key", "--json")
    removed = json.loads(done.stdout)["receipts"]
    assert removed > 0
    assert pl.concat(list(frames(log))).height == before - removed
    assert credit("log", "verify", log).returncode == 0


def test_erasing_without_the_key_or_with_another_does_not_look_done(log: Path, night: Path, credit: Credit) -> None:
    customer = pl.read_csv(night / "applications.csv", infer_schema=False)["customer_id"][20]
    without = credit("log", "erase", log, "--customer-id", customer)
    assert (without.returncode, "nothing was erased. Ids in this log are stored keyed" in without.stderr) == (2, True)
    (night / "other").write_text("another key of at least 32 bytes ...")
    other = credit("log", "erase", log, "--customer-id", customer, "--pii-key", night / "other")
    assert "no receipt of this customer is there. Check the id and the key" in other.stderr
    found = credit("log", "find", log, "--customer-id", customer, "--pii-key", night / "other")
    assert (found.returncode, "Check the id and the key." in found.stderr) == (1, True)


def test_without_a_key_nothing_is_read(night: Path, pii_bundle: Path, credit: Credit, tmp_path: Path) -> None:
    command = score(night, pii_bundle, tmp_path / "log")
    done = credit(*command)
    assert (done.returncode, "Give the file of the key with --pii-key" in done.stderr) == (2, True)
    (tmp_path / "short").write_text("secret")
    done = credit(*command, "--pii-key", tmp_path / "short")
    assert (done.returncode, "6 bytes, expected a key of at least 32" in done.stderr) == (2, True)
    done = credit(*command, "--pii-key", tmp_path / "nowhere")
    assert (done.returncode, "cannot be read" in done.stderr) == (2, True)


def test_a_message_keeps_all_but_the_personal_data(dataset: Dataset, pii_spec: Spec) -> None:
    pseudonymiser = Pseudonymiser(pii_spec, KEY.encode())
    for message in to_messages(with_phone(dataset).head(20), dataset.events, pii_spec):
        before, after = json.loads(message.body), json.loads(pseudonymiser.message(message.body))
        assert after["application_id"] == keyed(KEY.encode(), "application_id", before["application_id"])
        phone = before["attributes"]["phone"]
        assert after["attributes"]["phone"] == (None if phone is None else keyed(KEY.encode(), "phone", phone))
        for record in (before, after):
            del record["application_id"], record["customer_id"], record["attributes"]["phone"]
        assert after == before
    number = b'{"application_id":" A1 ","customer_id":12,"attributes":{"phone":4179.50,"x":1.10},"events":[]}'
    changed = pseudonymiser.message(number)
    assert b'"x":1.10' in changed, "other numbers keep their text"
    attributes = json.loads(changed)
    assert attributes["application_id"] == keyed(KEY.encode(), "application_id", "A1")
    assert attributes["customer_id"] == keyed(KEY.encode(), "customer_id", "12")
    assert attributes["attributes"]["phone"] == keyed(KEY.encode(), "phone", "4179.50")


def test_the_keyed_form_is_hmac_as_openssl_computes_it() -> None:
    # printf 'customer_id\0C-42' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
    assert keyed(KEY.encode(), "customer_id", "C-42") == f"keyed:{OPENSSL}"


OPENSSL = "238a0e03979c9791b8697d76d22a432e2e9f9abdd83068ab414620c14cd0b953"


@pytest.mark.parametrize("names", [["months_employed"], ["as_of"], ["nobody"], ["customer_id", "customer_id"]])
def test_what_feeds_a_feature_cannot_be_personal_data(dataset: Dataset, names: list[str]) -> None:
    with pytest.raises(SpecError, match="pii: "):
        parse_spec(f"pii = {json.dumps(names)}\n" + dataset.spec_text + PHONE)


def test_a_text_has_neither_range_nor_values_and_alone_is_nothing_to_score_on(dataset: Dataset) -> None:
    for line in ("range = [1, 2]", 'values = ["a"]'):
        with pytest.raises(SpecError, match=r"attributes.phone"):
            parse_spec(dataset.spec_text + PHONE + line)
    alone = dataset.spec_text[: dataset.spec_text.index("[attributes")]
    with pytest.raises(SpecError, match=r"makes a feature, so there is nothing to score on|missing"):
        parse_spec(alone + PHONE)


def test_the_key_file_is_trimmed(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"  " + os.urandom(4).hex().encode() * 8 + b"\n")
    assert len(read_key(tmp_path / "key")) == 64
