"""Reasons: what spoke against an applicant most, by code, in words that an applicant understands.

Explained is why the assigned class and not the best one: the calibrated log-odds of the two (XGBoost), or the
difference of their uncalibrated probabilities (forests and trees). Contributions of features under one code are added;
reasons are the codes with the largest positive sums, ties by code, four at most. The first one is put right, by setting
its features to the medians: if that does not raise what is explained, it is passed over. Where no code is left and the
class is still below the best, the nearest one is given, flagged weak.
"""

from dataclasses import dataclass

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from features.why_missing import marks_of
from scoring.reasons.book import ReasonBook
from scoring.reasons.shap_tables import ShapTables

MOST_REASONS = 4
LEAST_RISE = 1e-5  # of what is explained, when a reason is put right; up to here contributions are proved
REASON = pl.Struct({"code": pl.String, "text": pl.String, "contribution": pl.Float32, "weak": pl.Boolean})
_CHUNK_ROWS = 2048
_HIGH, _LOW, _MISSING = range(3)
_LAST = 1e6  # more than any contribution: what does not count stands behind what does
_BEHIND = np.array([2 * _LAST, _LAST, 0.0])  # codes without a feature in its own direction, with one, and strong ones

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ranked:
    """For each row its up to four reasons: index of the text, contribution, whether weak; `count` of them are given."""

    texts: Indices
    contributions: NDArray[np.float32]
    weak: NDArray[np.bool_]
    count: Indices

    @classmethod
    def none(cls, rows: int) -> "Ranked":
        """Return no reasons for each row."""
        shape = (rows, MOST_REASONS)
        texts, contributions = np.zeros(shape, np.int64), np.zeros(shape, np.float32)
        return cls(texts, contributions, np.ones(shape, np.bool_), np.zeros(rows, np.int64))


class Explainer:
    """Tables of contributions with a dictionary. No state; safe to share between threads.

    `openings` are the beginnings of reasons in JSON, and `feature_of` the features, by the indices of `Ranked.texts`.
    """

    def __init__(self, tables: ShapTables, book: ReasonBook) -> None:
        """Prepare the look-ups; codes are sorted, members of a code keep the order of the matrix."""
        self.tables, self.book, self._directed = tables, book, book.directed
        entries = book.entries
        codes = sorted({entry.code for entry in entries})
        code_of = np.array([codes.index(entry.code) for entry in entries])
        self._code_of = code_of
        self._members = np.argsort(code_of, kind="stable")
        self._starts = np.searchsorted(code_of[self._members], np.arange(len(codes)))
        groups = np.split(self._members, self._starts[1:])
        self._padded_members = np.zeros((len(codes), max(map(len, groups))), dtype=np.int64)
        for row, group in zip(self._padded_members, groups, strict=True):
            row[:] = group[0]  # once more behind the others, where it is never the first of equals
            row[: len(group)] = group
        self._right = np.array([np.nan if e.median is None else e.median for e in entries], dtype=np.float32)
        self._medians = np.where(np.isnan(self._right), -np.float32(np.inf), self._right)
        self._at_median = np.array([_HIGH if entry.at_median == "high" else _LOW for entry in entries])
        states = [("high", "low", "missing") if entry.against is None else entry.against for entry in entries]
        high, low, missing = (np.array([[s in named] for named in states]) for s in ("high", "low", "missing"))
        infinity, medians = np.float32(np.inf), self._medians[:, None]
        self._above, self._below = np.where(high, medians, infinity), np.where(low, medians, -infinity)
        self._when_missing = missing
        self._counts = np.array([len(entry.texts) for entry in entries])
        self._first_text = np.cumsum(self._counts) - self._counts
        self.feature_of = np.repeat(np.arange(len(entries)), self._counts)
        self._codes = pl.Series([entries[i].code for i in self.feature_of], dtype=pl.String)
        self._texts = pl.Series([text for entry in entries for text in entry.texts], dtype=pl.String)
        pairs = zip(self._codes.to_list(), self._texts.to_list(), strict=True)
        self.openings = [msgspec.json.encode({"code": code, "text": text}).decode()[:-1] for code, text in pairs]

    def reasons(self, matrix: NDArray[np.float32], assigned: Indices) -> pl.Series:
        """Return the reasons of each row, a list of `REASON`; see `rank`."""
        return self.series(self.rank(matrix, assigned))

    def rank(self, matrix: NDArray[np.float32], assigned: Indices) -> Ranked:
        """Rank the reasons of each row; the best class has none.

        `assigned` holds indices of classes, worst first. A row gets the same bits alone and in any batch.
        """
        refused = range(self.tables.classes - 1)
        if len(matrix) == 1 and assigned[0] in refused:
            return self._rank(matrix, int(assigned[0]))
        ranked = Ranked.none(len(matrix))
        for worse in refused:
            rows = np.flatnonzero(assigned == worse)
            for start in range(0, len(rows), _CHUNK_ROWS):
                some = rows[start : start + _CHUNK_ROWS]
                found = self._rank(matrix[some], worse)
                ranked.texts[some], ranked.contributions[some] = found.texts, found.contributions
                ranked.weak[some], ranked.count[some] = found.weak, found.count
        return ranked

    def _rank(self, matrix: NDArray[np.float32], assigned: int) -> Ranked:
        sums = self.tables.sums(matrix, self.tables.explained(assigned))
        by_code = np.add.reduceat(sums.take(self._members, axis=1), self._starts, axis=1, dtype=np.int64)
        against = np.array(self.tables.weigh(by_code, assigned).T, dtype=np.float32, order="C")
        by_feature = self.tables.weigh(sums, assigned)
        strong, order = against > 0, against.astype(np.float64)
        if self._directed:
            by_feature -= np.where(self.speaking(matrix), 0.0, _LAST)
            nearest = np.maximum.reduceat(by_feature.take(self._members, axis=0), self._starts, axis=0).T
            strong &= nearest > 0  # a feature in its own direction speaks against the applicant
            order -= _BEHIND.take(np.add(strong, nearest > -_LAST / 2, dtype=np.intp))
        if self.book.put_right:
            self._pass_over(matrix, sums, assigned, order, strong)
        count = np.minimum(np.maximum(np.add.reduce(strong, axis=1, dtype=np.int64), 1), MOST_REASONS)
        rows = np.arange(len(matrix))
        chosen = np.zeros((len(matrix), MOST_REASONS), dtype=np.int64)
        for place in range(min(MOST_REASONS, against.shape[1])):
            chosen[:, place] = best = order.argmax(axis=1)  # the first of equals, and codes are sorted
            order[rows, best] = -np.inf
        features = self._largest_members(by_feature, chosen)
        texts = self._first_text.take(features) + self._states(matrix, features)
        places = rows[:, None], chosen
        return Ranked(texts, against[places], ~strong[places], count)

    def put_right(self, matrix: NDArray[np.float32], codes: Indices) -> NDArray[np.float32]:
        """Return the matrix with the features of one code a row, an index of the sorted codes, set to the medians."""
        return np.where(self._code_of == codes[:, None], self._right, matrix)

    def first_codes(self, ranked: Ranked) -> Indices:
        """Return the index of each row's first code."""
        codes: Indices = self._code_of[self.feature_of[ranked.texts[:, 0]]]
        return codes

    def _pass_over(
        self,
        matrix: NDArray[np.float32],
        sums: NDArray[np.int32],
        assigned: int,
        order: NDArray[np.float64],
        strong: NDArray[np.bool_],
    ) -> None:
        """Strike out the codes before the first one that raises what is explained when it is put right.

        Where there is none, the code that would have been the first stays, and is no strong one. The values compared
        are sums of whole numbers, so the bits depend on no other row.
        """
        targets, nearest = self.tables.explained(assigned), order.argmax(axis=1)
        before = np.add.reduce(sums, axis=1, dtype=np.int64)
        rows, first = np.arange(len(matrix)), nearest
        while True:
            some = slice(None) if len(rows) == len(matrix) else rows
            after = self.tables.totals(self.put_right(matrix[some], first), targets)
            same = self.tables.weigh(before[:, some] - after, assigned) <= LEAST_RISE
            if not same.any():
                return
            rows, first = rows[same], first[same]
            order[rows, first], strong[rows, first] = -np.inf, False
            first = order[rows].argmax(axis=1)
            left = order[rows, first] > -1.5 * _LAST  # in its own direction
            order[rows[~left], nearest[rows[~left]]] = 0.0
            rows, first = rows[left], first[left]
            if not len(rows):
                return

    def speaking(self, matrix: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return features x rows: whether the value speaks against the applicant in the feature's own direction."""
        columns = matrix.T
        speaks: NDArray[np.bool_] = columns > self._above
        speaks |= columns < self._below
        speaks |= np.isnan(columns) & self._when_missing
        return speaks

    def _largest_members(self, against: NDArray[np.float64], codes: Indices) -> Indices:
        """Return for each row and code the feature that spoke against the applicant most, the first of equals."""
        members = self._padded_members.take(codes, axis=0)
        rows = np.arange(len(codes))[:, None]
        best = against[members, rows[:, :, None]].argmax(axis=2)
        chosen: Indices = members[rows, np.arange(MOST_REASONS), best]
        return chosen

    def _states(self, matrix: NDArray[np.float32], features: Indices) -> Indices:
        values = matrix[np.arange(len(matrix))[:, None], features]
        median, at_median = self._medians[features], self._at_median[features]
        states = np.where(values == median, at_median, values < median)  # _HIGH is 0, _LOW 1
        missing = np.isnan(values)
        if missing.any():
            marks = marks_of(values[missing])
            told = _MISSING + marks < self._counts[features[missing]]
            states[missing] = _MISSING + marks * told
        return states

    def series(self, ranked: Ranked) -> pl.Series:
        """Write reasons as a list of `REASON` for each row."""
        flat, values = ranked.texts.ravel(), ranked.contributions.ravel()
        columns = {"code": self._codes.gather(flat), "text": self._texts.gather(flat)}
        reasons = pl.DataFrame({**columns, "contribution": values, "weak": ranked.weak.ravel()}).to_struct("reasons")
        rows = pl.DataFrame({"reasons": reasons.reshape((len(ranked.count), MOST_REASONS)), "count": ranked.count})
        return rows.select(pl.col("reasons").arr.to_list().list.head(pl.col("count")))["reasons"]
