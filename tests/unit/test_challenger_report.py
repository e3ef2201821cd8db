"""`credit challenger report`: who would change, what it saves, and a rule to stop that survives peeking."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from compare import compared, read_pairs
from compare.sequential import FEWEST_CHANGED, FEWEST_CUSTOMERS, Judgement, always_valid, stand
from features.errors import BundleError, InputError
from receipts.frame import SHADOW, receipts_of
from receipts.log import Chain, segments
from receipts.outcomes import Rules, add_outcomes, read_labels
from recipes.dataset import Dataset
from recipes.synthetic import synthetic
from scoring.scorer import Scorer
from tests.conftest import Credit
from tests.monitored import DECIDED

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def book() -> Dataset:
    return synthetic(400, seed=51)


@pytest.fixture(scope="module")
def log(bundle: Path, rival: Path, book: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A door's receipts, and those of a challenger of every second request, in an order of their own.

    One application is asked for 40 times more, as by a client that tries again.
    """
    log = tmp_path_factory.mktemp("door") / "log"
    for path, writer in ((bundle, "rest-1"), (rival, "shadow-rest-1")):
        scorer = Scorer.open(path)
        scored = scorer.score(book.applications, book.events)
        rows = np.arange(scored.decisions.height)
        again = np.repeat(rows[-1:], 40)
        rows = np.append(rows[::-2] if path is rival else rows, again)
        decisions = scored.decisions[rows]
        origin = pl.DataFrame(
            {
                "door": ["rest"] * len(rows),
                "decided_at": [DECIDED + timedelta(seconds=int(row)) for row in rows],
                "request_id": [f"request-{row}" for row in rows[:-40]] + [f"again-{number}" for number in range(40)],
                **({"kind": [SHADOW] * len(rows)} if path is rival else {}),
            }
        )
        with Chain.open(log, writer) as chain:
            chain.seal(receipts_of(decisions, scored.features[rows], origin, scorer.bundle.spec))
    return log


@pytest.fixture(scope="module")
def bundles(bundle: Path, rival: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one that decided and the challenger."""
    folder = tmp_path_factory.mktemp("bundles")
    for path in (bundle, rival):
        (folder / path.name).symlink_to(path)
    return folder


def decided(path: Path, book: Dataset) -> pl.DataFrame:
    return Scorer.open(path).score(book.applications, book.events).decisions


def test_figures_are_those_of_both_bundles_on_the_same_applications(
    log: Path, bundles: Path, book: Dataset, tmp_path: Path, credit: Credit
) -> None:
    (champion,) = {segment.bundle_id for segment in segments(log)}
    bundle, rival = sorted(bundles.iterdir(), key=lambda path: path.name != champion)
    before, after = decided(bundle, book), decided(rival, book)
    rows = np.arange(before.height)[::-2]
    changed = (before["credit_class"] != after["credit_class"]).gather(rows)
    found = compared(read_pairs(log, rival.name[:12], bundles))
    assert (found["challenger"], found["champions"]) == (rival.name, [bundle.name])
    assert found["applications"] == len(rows)
    assert found["changed"]["value"] == pytest.approx(changed.mean(), abs=1e-6)
    moved = {(row["from"], to): n for row in found["moves"] for to, n in row["to"].items()}
    pairs = zip(before["credit_class"].gather(rows), after["credit_class"].gather(rows), strict=True)
    assert moved[("Poor", "Good")] == sum(pair == ("Poor", "Good") for pair in pairs)
    assert found["outcomes"] is None
    done = credit(
        *("challenger", "report", log, "--challenger", rival.name, "--bundles", bundles, "--out", tmp_path / "c.html")
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Go on: no outcome")
    assert json.loads((tmp_path / "c.json").read_text()) == json.loads(json.dumps(found))
    add_outcomes(log, read_labels(book.labels), rules=Rules(skip_unknown=True))
    judged = compared(read_pairs(log, rival.name, bundles))["outcomes"]
    own = (
        before[rows]
        .hstack(after[rows].select(pl.col("credit_class").alias("other")))
        .join(book.labels, "application_id")
    )
    policy = Scorer.open(bundle).bundle.policy
    cost = {(a, b): policy.costs[i][j] for i, a in enumerate(policy.classes) for j, b in enumerate(policy.classes)}
    truth = own["credit_class_right"]
    saved = [cost[t, a] - cost[t, b] for t, a, b in zip(truth, own["credit_class"], own["other"], strict=True)]
    assert judged["saved"]["gain"] == pytest.approx(np.mean(saved), abs=1e-6)
    good = own.filter(truth == "Good")
    lost = (good["credit_class"] == "Poor").cast(int) - (good["other"] == "Poor").cast(int)
    assert judged["fewer_false_negatives"]["gain"] == pytest.approx(lost.mean(), abs=1e-6)
    assert judged["champion"]["false_negative_rate"]["value"] == pytest.approx(
        (good["credit_class"] == "Poor").mean(), abs=1e-4
    )


def test_what_is_not_there_is_said(log: Path, bundles: Path, rival: Path, bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"no receipts of this challenger. There are those of {rival.name[:12]}"):
        read_pairs(log, "0123", bundles)
    with pytest.raises(InputError, match="no receipts of this challenger"):
        read_pairs(log, bundle.name, bundles)  # it decided
    alone = Path(shutil.copytree(log, tmp_path / "log"))
    shutil.rmtree(alone / "writers" / "rest-1")
    with pytest.raises(InputError, match="holds no decision of another bundle from the time of this challenger"):
        read_pairs(alone, rival.name, bundles)
    (tmp_path / bundle.name).symlink_to(bundle)
    with pytest.raises(BundleError, match=f"lacks the bundle {rival.name}"):
        read_pairs(log, rival.name, tmp_path)


LOOKS = np.unique(np.geomspace(FEWEST_CUSTOMERS, 6000, 60).astype(int))


def first_judgements(saved: np.ndarray, cost: float = 60.0) -> list[Judgement]:
    """Look at each book again and again, and stop at the first judgement that allows it."""
    found = []
    for book in saved:
        judgements = (stand(book[:count], cost).judgement for count in LOOKS)
        found.append(next((judgement for judgement in judgements if judgement.stops), Judgement.OPEN))
    return found


def books(mean: float, seed: int, count: int = 300) -> np.ndarray:
    """Books of customers, of whom one in ten is decided otherwise, which saves or costs up to 400 each."""
    generator = np.random.default_rng(seed)
    changed = generator.random((count, 6000)) < 0.1
    return np.where(changed, generator.choice([-400.0, -100.0, 150.0, 350.0], changed.shape) + 10 * mean, 0.0)


def test_looking_often_stops_for_no_difference_in_at_most_one_book_of_twenty() -> None:
    found = first_judgements(books(0.0, seed=1), cost=0.0)
    assert sum(judgement in {Judgement.CHEAPER, Judgement.DEARER} for judgement in found) <= 15
    looked_at = sum(
        any(abs(book[:n].mean()) > 1.96 * book[:n].std() / np.sqrt(n) for n in LOOKS) for book in books(0.0, seed=1)
    )
    assert looked_at > 60, "what a fixed interval, looked at as often, would have called"


def test_a_difference_is_found_with_its_sign_and_none_ends_as_alike() -> None:
    assert first_judgements(books(10.0, seed=2, count=60)).count(Judgement.CHEAPER) >= 57
    assert first_judgements(books(-10.0, seed=3, count=60)).count(Judgement.DEARER) >= 57
    assert first_judgements(books(0.0, seed=4, count=60) / 20).count(Judgement.ALIKE) >= 57


def test_nothing_is_said_of_few() -> None:
    generator = np.random.default_rng(5)
    assert stand(np.full(FEWEST_CUSTOMERS - 1, 100.0), 60.0).judgement == Judgement.TOO_FEW
    few_changed = np.zeros(5000)
    few_changed[: FEWEST_CHANGED - 1] = 1000.0
    assert stand(few_changed, 60.0).judgement == Judgement.TOO_FEW
    assert stand(np.array([3.0]), 60.0).judgement == Judgement.TOO_FEW
    mean, low, high = always_valid(generator.normal(2, 1, 4000))
    assert low < 2 < high
    assert mean == pytest.approx(2, abs=0.1)
