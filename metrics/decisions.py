"""Figures of decisions: shares of cells of actual x assigned class, and what follows from them."""

import numpy as np

from metrics.kinds import Asked, Cells, Floats, Metric, Pair, Place, Totals, Unit, Whole, Worse

_EVERYWHERE = frozenset(Place) - {Place.COHORTS}  # those hold figures of ranking


def _everyone(asked: Asked) -> Floats:
    return np.ones((asked.count, asked.count))


def _is(asked: Asked, index: int) -> Floats:
    cells = np.zeros((asked.count, asked.count))
    cells[index] = 1
    return cells


def _called(asked: Asked, index: int) -> Floats:
    return _is(asked, index).T


def _false_negatives(asked: Asked) -> Pair:
    return _is(asked, -1) * _called(asked, 0), _is(asked, -1)


def _false_negatives_wide(asked: Asked) -> Pair:
    return _is(asked, -1) * (1 - _called(asked, -1)), _is(asked, -1)


def _cost(asked: Asked) -> Pair | None:
    return None if asked.costs is None else (asked.costs, _everyone(asked))


def _precision(asked: Asked) -> Pair:
    return _called(asked, asked.index) * _is(asked, asked.index), _called(asked, asked.index)


def _recall(asked: Asked) -> Pair:
    return _called(asked, asked.index) * _is(asked, asked.index), _is(asked, asked.index)


def _accuracy(asked: Asked) -> Pair:
    return np.eye(asked.count), _everyone(asked)


def _good_share(asked: Asked) -> Pair:
    return _is(asked, -1), _everyone(asked)


def _not_refused_share(asked: Asked) -> Pair:
    return 1 - _called(asked, 0), _everyone(asked)


def _approved_share(asked: Asked) -> Pair:
    return _called(asked, -1), _everyone(asked)


def _macro_f1(totals: Totals) -> Floats:
    hits = np.diagonal(totals.confusion, axis1=1, axis2=2)
    either = totals.confusion.sum(axis=1) + totals.confusion.sum(axis=2)
    return np.asarray(np.nan_to_num(2 * hits / either).mean(axis=1))


DECISIONS: tuple[Metric, ...] = (
    Metric(
        name="good_share",
        label="are {best}",
        short="good",
        unit=Unit.SHARE,
        worse=Worse.NEITHER,
        formula="the share of applicants who are of the best class",
        value=Cells(_good_share),
        places=frozenset({Place.GROUPS, Place.SLICES}),
    ),
    Metric(
        name="not_refused_share",
        label="not refused",
        short="not refused",
        unit=Unit.SHARE,
        worse=Worse.NEITHER,
        formula="the share of applicants who are called better than the worst class",
        value=Cells(_not_refused_share),
        places=frozenset({Place.GROUPS}),
    ),
    Metric(
        name="approved_share",
        label="called {best}",
        short="approved",
        unit=Unit.SHARE,
        worse=Worse.NEITHER,
        formula="the share of applicants who are called the best class",
        value=Cells(_approved_share),
        places=frozenset({Place.GROUPS, Place.SLICES, Place.POLICY}),
    ),
    Metric(
        name="false_negative_rate",
        label="{best} called {worst}",
        short="good applicants called worst",
        unit=Unit.SHARE,
        worse=Worse.HIGHER,
        formula="of the applicants who are of the best class, the share that is called the worst",
        value=Cells(_false_negatives),
        matters=0.01,
        places=_EVERYWHERE,
    ),
    Metric(
        name="false_negative_rate_wide",
        label="{best} called less",
        short="good applicants not called best",
        unit=Unit.SHARE,
        worse=Worse.HIGHER,
        formula="of the applicants who are of the best class, the share that is called any other",
        value=Cells(_false_negatives_wide),
        places=_EVERYWHERE - {Place.SLICES},
    ),
    Metric(
        name="expected_cost",
        label="cost of an application",
        short="cost per application",
        unit=Unit.MONEY,
        worse=Worse.HIGHER,
        formula="the mean of cost[actual, assigned], the policy's prices without the multiplier of its floors",
        source="Elkan, The Foundations of Cost-Sensitive Learning (IJCAI 2001)",
        value=Cells(_cost),
        matters=0.10,
        relative=True,
        places=_EVERYWHERE - {Place.GROUPS},
    ),
    Metric(
        name="precision",
        label="precision of {of}",
        short="precision",
        unit=Unit.SHARE,
        worse=Worse.LOWER,
        formula="of the applicants who are called the class, the share that is of it",
        value=Cells(_precision),
        matters=0.05,
        by_class=True,
        places=_EVERYWHERE,
    ),
    Metric(
        name="recall",
        label="recall of {of}",
        short="recall",
        unit=Unit.SHARE,
        worse=Worse.LOWER,
        formula="of the applicants who are of the class, the share that is called it",
        value=Cells(_recall),
        matters=0.05,
        by_class=True,
        places=frozenset({Place.EVALUATION, Place.POLICY, Place.MONITOR}),
    ),
    Metric(
        name="accuracy",
        label="accuracy",
        short="accuracy",
        unit=Unit.SHARE,
        worse=Worse.LOWER,
        formula="the share of applicants who are called what they are",
        value=Cells(_accuracy),
        matters=0.05,
        places=frozenset({Place.EVALUATION, Place.MONITOR}),
    ),
    Metric(
        name="macro_f1",
        label="macro F1",
        short="macro F1",
        unit=Unit.NUMBER,
        most=1.0,
        worse=Worse.LOWER,
        formula="the mean over classes of 2 hits / (called + present); a class without either counts 0",
        value=Whole(_macro_f1, of_decisions=True),
    ),
)
