"""Live metrics: what a door says of drift, scores, missing values and dirt while it decides."""

import gc
import json
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from features.matrix import FeatureTable, list_features
from features.spec.contract import Spec
from monitoring.divergence import psi
from monitoring.live.door_metrics import StreamMetrics
from monitoring.live.live import LEAST_DECISIONS, Live
from monitoring.live.live_counts import Layout
from monitoring.live.live_window import SharedWindow
from monitoring.live.metric_names import LIVE
from recipes.dataset import Dataset
from scoring.bundle.bins import count
from scoring.bundle.reference import Reference, read_reference
from scoring.decisions import Decided
from scoring.message.decoder import MessageDecoder
from scoring.message.from_tables import to_messages
from scoring.message.message_scorer import Answer, MessageScorer
from scoring.scorer import Scorer
from tests.conftest import PROJECT
from tests.live_doors import Metrics


@pytest.fixture(scope="module")
def reference(scorer: Scorer) -> Reference:
    return read_reference(scorer.bundle)


@pytest.fixture(scope="module")
def usual(dataset: Dataset, spec: Spec) -> list[bytes]:
    return [m.body for m in to_messages(dataset.applications, dataset.events, spec)]


def cells(reference: Reference) -> st.SearchStrategy[np.float32]:
    """Values that are odd, on an edge, or next to one."""
    edges = sorted({np.float32(edge) for item in reference.items for edge in item.edges})
    near = [np.nextafter(edge, np.float32(to)) for edge in edges[:20] for to in (-np.inf, np.inf)]
    return st.sampled_from([np.float32(np.nan), np.float32(0), np.float32(1), np.float32(-1e30), *edges, *near])


def test_counting_all_features_at_once_is_counting_each_by_its_frozen_bins(reference: Reference, spec: Spec) -> None:
    layout = Layout(spec, reference, (350, 400))
    width = len(list_features(spec))
    shapes = st.tuples(st.integers(1, 30), st.just(width))

    @given(arrays.arrays(np.float32, shapes, elements=cells(reference), fill=st.nothing()), st.integers(300, 850))
    def check(matrix: np.ndarray, score: int) -> None:
        scores = np.full(len(matrix), score, np.int32)
        matched = scores > 600
        seen = layout.read(layout.count(matrix, scores, np.full(len(matrix), 2), matched))
        assert seen.matched == matched.sum()
        for item, bins, missing in zip(reference.items, seen.bins, seen.missing, strict=True):
            assert [*bins, missing] == count(item, list(matrix.T)).tolist()
        assert (seen.rows, seen.scores.sum(), seen.points.sum()) == (len(matrix),) * 3
        assert seen.points_sum == scores.sum()
        assert seen.classes.tolist() == [0, 0, len(matrix)]

    check()


def test_the_window_holds_the_last_decisions_in_memory_of_fixed_size() -> None:
    window = SharedWindow(1, 1000, None)
    for _ in range(3000):
        window.add(np.array([0]), 1)
    for number in range(1, 5001):
        assert window.room() >= 1
        window.add(np.array([1]), 1)
        held, ever = window.totals()
        assert min(number, 1000) <= held[0] <= min(number, 1100)
        assert ever[0] == number


@pytest.mark.process
def test_workers_count_together_and_a_dead_ones_window_ends_with_it(tmp_path: Path) -> None:
    own = SharedWindow(2, 1000, tmp_path)
    own.add(np.array([1, 2]), 10)
    code = (
        "import sys, numpy as np; from pathlib import Path; from monitoring.live.live_window import SharedWindow\n"
        "SharedWindow(2, 1000, Path(sys.argv[1])).add(np.array([10, 20]), 10); print('counted', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"counted\n"
        assert [total.tolist() for total in own.totals()] == [[11, 22], [11, 22]]
        other.communicate(b"\n")
    assert [total.tolist() for total in own.totals()] == [[1, 2], [11, 22]]


def test_the_metrics_are_those_of_the_decisions(scorer: Scorer, reference: Reference, usual: list[bytes]) -> None:
    metrics = StreamMetrics(Live(scorer.bundle, 5000))
    tables: list[FeatureTable] = []

    def observe(decided: Decided, table: FeatureTable) -> None:
        tables.append(table)
        metrics.observe(decided, table)

    answers = MessageScorer(scorer, observe).answer(usual)
    metrics.batch(answers, 0.1, 0.1)
    found = Metrics(metrics.text().decode())
    (only,) = tables
    decisions = pl.DataFrame([json.loads(a.decision) for a in answers if a.decision])
    assert found["credit_window_decisions"] == decisions.height
    assert found["credit_score_points_sum"] == decisions["credit_score"].sum()
    upto = found.by("credit_score_points_bucket", "le")
    assert upto["600.0"] == (decisions["credit_score"] <= 600).sum()
    assert upto["+Inf"] == found["credit_score_points_count"] == decisions.height
    dirt = {f'cause="{k}",column="{c}",table="{t}"': n for t, c, k, n in only.dirt.rows()}
    assert {labels: n for (name, labels), n in found.values.items() if name == "credit_dirty_cells_total"} == dirt
    columns = list(only.matrix.T)
    for item in reference.items:
        bins = count(item, columns)
        assert found.by("credit_feature_missing_share", "feature")[item.name] == bins[-1] / decisions.height
        expected = psi(np.array(item.counts), bins[:-1])
        assert found.by("credit_feature_psi", "feature")[item.name] == pytest.approx(expected, abs=1e-12)
        share = found.by("credit_feature_missing_reference", "feature")[item.name]
        assert share == item.missing / reference.rows


def test_every_live_metric_is_there_under_its_kind_and_labels(scorer: Scorer, usual: list[bytes]) -> None:
    metrics = StreamMetrics(Live(scorer.bundle, 5000))
    metrics.batch(MessageScorer(scorer, metrics.observe).answer(usual), 0.1, 0.1)
    text = metrics.text().decode()
    for metric in LIVE:
        assert f"# TYPE {metric.name} {metric.kind}" in text
        assert f"# HELP {metric.name} {metric.meaning}" in text
        series = {labels for (name, labels) in Metrics(text).values if name == metric.name}
        assert all(re.findall(r'(\w+)="', labels) == sorted(metric.labels) for labels in series)


def test_a_batch_that_is_read_again_counts_once(scorer: Scorer, usual: list[bytes]) -> None:
    metrics = StreamMetrics(Live(scorer.bundle, 5000))
    messages = MessageScorer(scorer, metrics.observe)
    for _ in range(2):
        messages.answer(usual[:100])
        metrics.aborted()
    answers = messages.answer(usual[:100])
    metrics.batch(answers, 0.1, 0.1)
    decided = sum(a.refusal is None for a in answers)
    assert Metrics(metrics.text().decode())["credit_window_decisions"] == decided


def test_few_decisions_have_shares_but_no_drift(scorer: Scorer, usual: list[bytes]) -> None:
    metrics = StreamMetrics(Live(scorer.bundle, 5000))
    messages = MessageScorer(scorer, metrics.observe)
    metrics.batch(messages.answer(usual[: LEAST_DECISIONS - 1]), 0.1, 0.1)
    found = Metrics(metrics.text().decode())
    assert found.by("credit_feature_missing_share", "feature")
    assert not found.by("credit_feature_psi", "feature")
    metrics.batch(messages.answer(usual[:20]), 0.1, 0.1)
    assert Metrics(metrics.text().decode()).by("credit_feature_psi", "feature")


def test_a_window_in_which_nobody_matches_and_a_column_is_gone_says_so_once(
    dataset: Dataset, spec: Spec, scorer: Scorer, usual: list[bytes]
) -> None:
    said: list[str] = []
    metrics = StreamMetrics(Live(scorer.bundle, 5000, say=said.append))
    messages = MessageScorer(scorer, metrics.observe)
    metrics.batch(messages.answer(usual), 0.1, 0.1)
    well = Metrics(metrics.text().decode())
    assert well["credit_window_matched_share"] > 0.9
    assert well["credit_matched_share_reference"] > 0.9
    assert set(well.by("credit_input_degraded", "input")) == {"events", *[a.name for a in spec.attributes]}
    assert set(well.by("credit_input_degraded", "input").values()) == {0}
    assert said == []
    broken = dataset.applications.with_columns(credit_utilisation=pl.lit("n/a"))
    for _ in range(12):  # the window holds the last 5,000
        bodies = [m.body for m in to_messages(broken, dataset.events.clear(), spec)]
        metrics.batch(messages.answer(bodies), 0.1, 0.1)
    ill = Metrics(metrics.text().decode())
    assert ill["credit_window_matched_share"] == 0
    degraded = ill.by("credit_input_degraded", "input")
    assert {name: level for name, level in degraded.items() if level} == {"events": 2, "credit_utilisation": 2}
    assert len([text for text in said if "usable event" in text]) == 1
    assert len([text for text in said if "'credit_utilisation'" in text]) == 1


def test_a_tenth_of_the_window_without_events_is_degraded_not_gone(
    dataset: Dataset, spec: Spec, scorer: Scorer
) -> None:
    said: list[str] = []
    metrics = StreamMetrics(Live(scorer.bundle, 5000, say=said.append))
    messages = MessageScorer(scorer, metrics.observe)
    some = dataset.events.filter(pl.col("customer_id").str.slice(-1) != "7")
    for _ in range(4):
        metrics.batch(messages.answer([m.body for m in to_messages(dataset.applications, some, spec)]), 0.1, 0.1)
    degraded = Metrics(metrics.text().decode()).by("credit_input_degraded", "input")
    assert {name: level for name, level in degraded.items() if level} == {"events": 1}
    assert len(said) == 1


def test_memory_does_not_grow_with_decisions(scorer: Scorer, usual: list[bytes]) -> None:
    metrics = StreamMetrics(Live(scorer.bundle, 5000))
    decided, table = scorer.decide(*decoded(scorer, usual[:200]))
    answers = [Answer(decision=b"{}", credit_class="Good")] * len(table.matrix)

    def decide(rounds: int) -> int:
        for _ in range(rounds):
            metrics.observe(decided, table)
            metrics.batch(answers, 0.1, 0.1)
        metrics.text()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before, after = decide(50), decide(1000)
    finally:
        tracemalloc.stop()
    assert after - before < 50_000


def decoded(scorer: Scorer, messages: list[bytes]) -> tuple[pl.DataFrame, pl.DataFrame]:
    found = MessageDecoder(scorer.bundle.spec).decode(messages)
    return found.applications, found.events
