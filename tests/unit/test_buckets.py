"""The bucket of an identifier is that of its bytes, whatever else lies in its block, in every release."""

import random

import numpy as np
import polars as pl
import pytest

from storage.buckets import buckets

KNOWN = {  # computed once: what two machines must agree on does not change
    "1": 313,
    "A-1": 913,
    "C2-0000017": 756,
    "1234567": 658,
    "12345678": 403,
    "Ünïcödé-17": 733,
    "5f0c2a4e-9b1d-4c3e-8f7a-0123456789ab": 224,
    "x" * 200: 948,
}


def test_the_bucket_of_an_identifier_is_known() -> None:
    assert dict(zip(KNOWN, buckets(pl.Series(list(KNOWN)), 1000).tolist(), strict=True)) == KNOWN


@pytest.mark.parametrize("seed", range(3))
def test_it_does_not_depend_on_what_lies_beside_it(seed: int) -> None:
    source = random.Random(seed)  # noqa: S311
    ids = ["".join(source.choices("aé-0\U0001f600", k=source.randint(0, 40))) for _ in range(400)]
    ids += ["", "0", "0\0", "0000000", "00000000", "0" * 15, "0" * 16, "0" * 39, "0" * 41]
    together = buckets(pl.Series(ids), 1 << 20).tolist()
    alone = [int(buckets(pl.Series([one]), 1 << 20)[0]) for one in ids]
    assert together == alone
    assert len(set(buckets(pl.Series(["0", "0\0", "00"]), 1 << 20).tolist())) == 3


@pytest.mark.parametrize(
    "form",
    ["{}", "{:07d}", "C2-{:07d}", "{:08d}-bank-of-somewhere", "bank-of-somewhere-{:06d}-retail-customer", "K{:x}"],
)
def test_buckets_are_filled_evenly(form: str) -> None:
    rows = np.bincount(buckets(pl.Series([form.format(n) for n in range(20_000)]), 40).astype(np.int64), minlength=40)
    assert 400 < rows.min() <= rows.max() < 600


def test_no_identifier_is_no_error() -> None:
    assert len(buckets(pl.Series([None, "A"], dtype=pl.String), 7)) == 2
    assert len(buckets(pl.Series([], dtype=pl.String), 7)) == 0
