"""What a bundle holds of the report: figures, study, report.html, model_card.md; and the way back from a bundle."""

import io
import json
from typing import Any

import polars as pl

from features.spec.contract import Spec
from scoring.bundle import Bundle, canonical_json, stored_file
from scoring.policy import Policy
from training.report.card import render_card
from training.report.content import Content
from training.report.page import render

__all__ = ["STUDY", "content_of", "report_files"]

FIGURES = "figures.json"
STUDY = "study.csv"
REPORT = "report.html"
CARD = "model_card.md"


def report_files(
    facts: dict[str, Any], figures: dict[str, Any], spec: Spec, policy: Policy, study: bytes | None
) -> dict[str, bytes]:
    """Return the files by name. Page and card are made from the stored form of the figures, as later from a bundle."""
    stored = canonical_json(figures)
    content = _content(canonical_json(facts), stored, spec, policy, study)
    files = {FIGURES: stored, REPORT: render(content).encode(), CARD: render_card(content).encode()}
    return files if study is None else {**files, STUDY: study}


def _content(facts: bytes, figures: bytes, spec: Spec, policy: Policy, study: bytes | None) -> Content:
    trials = () if study is None else tuple(pl.read_csv(io.BytesIO(study)).to_dicts())
    return Content(facts=json.loads(facts), spec=spec, policy=policy, figures=json.loads(figures), trials=trials)


def content_of(bundle: Bundle) -> Content:
    """Read what the bundle's report was made of.

    Raises:
        BundleError: the bundle holds no figures, or a file changed since the bundle was read.

    """
    facts = {name: value for name, value in bundle.manifest.items() if name not in ("files", "format_version")}
    study = stored_file(bundle, STUDY) if STUDY in bundle.manifest["files"] else None
    return _content(canonical_json(facts), stored_file(bundle, FIGURES), bundle.spec, bundle.policy, study)
