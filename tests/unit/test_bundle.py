"""A bundle is what was written, to the byte, or it is not loaded; the error says which file."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from features.errors import BundleError
from scoring.bundle.folder import FILES, canonical_json, read_bundle
from scoring.scorer import Scorer

ALL = (*FILES, "manifest.json", "figures.json", "model_card.md", "reference.json", "report.html")


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle, tmp_path / bundle.name))


def republish(folder: Path, change: Callable[[dict[str, object]], None] = lambda _: None) -> Path:
    """Sign the folder's content anew, as someone would who damaged it before it was published."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in manifest["files"]}
    change(manifest)
    content = canonical_json(manifest)
    (folder / "manifest.json").write_bytes(content)
    return folder.rename(folder.with_name(hashlib.sha256(content).hexdigest()))


def test_a_bundle_loads_and_its_golden_rows_agree_to_the_bit(scorer: Scorer, bundle: Path) -> None:
    assert scorer.golden.bits
    assert scorer.golden.rows >= 50
    assert scorer.bundle.bundle_id == bundle.name
    assert sorted(p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()) == sorted(ALL)


def test_golden_rows_hold_what_goes_wrong(scorer: Scorer) -> None:
    golden = scorer.bundle.golden
    assert set(golden["decision"].struct.field("credit_class")) == {"Poor", "Standard", "Good"}
    attributes = golden.select("application").unnest("application").drop("application_id", "customer_id", "as_of")
    assert all((attributes[name] == "").any() for name in attributes.columns), "every attribute is missing somewhere"
    events = golden.select(pl.col("events").explode()).drop_nulls("events").unnest("events")
    assert set(events["kind"]) == set(scorer.bundle.spec.event_kinds)
    assert events["recorded_at"].null_count() < events.height, "some events were recorded late"


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_a_changed_byte_is_named(copy: Path, name: str, where: str) -> None:
    content = bytearray((copy / name).read_bytes())
    at = {"first": 0, "middle": len(content) // 2, "last": len(content) - 1}[where]
    content[at] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(BundleError, match=name):
        read_bundle(copy)


@pytest.mark.parametrize("name", ALL)
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleError, match=name):
        read_bundle(copy)


@pytest.mark.parametrize("name", ["notes.txt", "sub/model.onnx", ".hidden"])
def test_an_extra_file_is_named(copy: Path, name: str) -> None:
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).touch()
    with pytest.raises(BundleError, match=name):
        read_bundle(copy)


def test_another_format_version_is_refused_before_all_else(copy: Path) -> None:
    other = republish(copy, lambda manifest: manifest.update(format_version=99))
    (other / "model.onnx").unlink()
    with pytest.raises(BundleError, match="format version 99, this release reads 2"):
        read_bundle(other)


def test_a_renamed_folder_is_refused_and_a_link_is_followed(copy: Path) -> None:
    link = copy.with_name("current")
    link.symlink_to(copy.name)
    assert read_bundle(link).bundle_id == copy.name
    with pytest.raises(BundleError, match="the folder bears another name"):
        read_bundle(copy.rename(copy.with_name("a" * 64)))


@pytest.mark.parametrize("name", ["absent", "empty", "file"])
def test_what_is_no_bundle_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match=name):
        read_bundle(tmp_path / name)


def test_a_model_that_decides_otherwise_fails_the_golden_rows(copy: Path) -> None:
    """Hashes cannot see a wrong policy that was published; golden rows do."""
    policy = (copy / "policy.toml").read_text().replace("multiplier = 1.0", "multiplier = 3.0")
    (copy / "policy.toml").write_text(policy)
    with pytest.raises(BundleError, match="golden rows come out differently"):
        Scorer.open(republish(copy))


def shift_golden(folder: Path, difference: float) -> None:
    golden = pl.read_parquet(folder / "golden.parquet")
    moved = pl.col("decision").struct.with_fields((pl.field("p_good") + difference).cast(pl.Float32))
    golden.with_columns(moved).write_parquet(folder / "golden.parquet")


def test_one_bit_in_a_golden_row_is_refused_on_the_same_cpu_family(copy: Path) -> None:
    shift_golden(copy, 1e-7)
    with pytest.raises(BundleError, match="golden rows come out differently"):
        Scorer.open(republish(copy))


def test_another_cpu_family_may_differ_in_the_last_bits_only(copy: Path) -> None:
    shift_golden(copy, 3e-7)
    foreign = republish(copy, lambda manifest: manifest.update(cpu_family="another"))
    golden = Scorer.open(foreign).golden
    assert not golden.bits
    assert 0 < golden.largest_difference <= 1e-6
    shift_golden(foreign, 1e-5)
    with pytest.raises(BundleError, match="golden rows come out differently"):
        Scorer.open(republish(foreign))


def test_a_model_with_other_columns_than_the_spec_is_refused(copy: Path) -> None:
    spec = (copy / "spec.toml").read_text()
    (copy / "spec.toml").write_text(spec.replace('"teacher", ', ""))
    with pytest.raises(BundleError, match="for other features or classes than the spec's"):
        Scorer.open(republish(copy))


def test_bytes_that_are_no_model_are_refused(copy: Path) -> None:
    (copy / "model.onnx").write_bytes(b"not a model")
    with pytest.raises(BundleError, match=r"model\.onnx: onnxruntime cannot load it"):
        Scorer.open(republish(copy))
