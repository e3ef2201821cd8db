"""The baseline of `score_end_to_end`: an expert's script with pandas and XGBoost for the same nightly run.

    python -m benchmarks.score_pandas FOLDER MODEL

FOLDER holds applications.parquet and events.parquet, MODEL model-N.ubj and policy.json. DuckDB reads,
as pandas reads Parquet only through a library; from there on it is pandas: customers are made integers once, money
cents, kinds categories; one merge, then one group-by per group and window, the shorter out of the longer. It does less
than the product: no checks of files or cells, no reject codes, no counts of dirt.
"""

import json
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import xgboost

DAY = 86_400_000_000
KINDS = ("salary", "purchase", "instalment", "late_fee", "overdraft")
OCCUPATIONS = ("clerk", "engineer", "nurse", "retail", "self-employed", "teacher", "other")
LOANS = ("car loan", "mortgage", "payday loan", "student loan", "none")
TOKENS = ("", "_______", "!@9#%8", "n/a")
Floats = np.ndarray[Any, Any]


def read(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read both tables; customers become integers, money becomes cents, instants microseconds."""
    a = duckdb.read_parquet(str(folder / "applications.parquet")).df()
    e = duckdb.read_parquet(str(folder / "events.parquet")).df()
    e = e[e["kind"].isin(KINDS)]
    codes, _ = pd.factorize(pd.concat([a["customer_id"], e["customer_id"]], ignore_index=True))
    a["customer"] = codes[: len(a)].astype(np.int32)
    recorded = e["recorded_at"].astype("datetime64[us, UTC]")
    events = pd.DataFrame(
        {
            "customer": codes[len(a) :].astype(np.int32),
            "occurred_at": e["occurred_at"].astype("datetime64[us, UTC]").astype("int64").to_numpy(),
            "recorded_at": recorded.fillna(pd.Timestamp(0, tz="UTC")).astype("int64").to_numpy(),
            "kind": pd.Categorical(e["kind"], categories=KINDS).codes,
            "amount": np.rint(e["amount"].to_numpy(dtype=np.float64) * 100).astype(np.int64),
        }
    )
    return a, events[events["customer"].isin(a["customer"].unique())]


def number(column: pd.Series, low: float, high: float) -> Floats:
    """Clean a number: strip underscores, drop what is not in the range."""
    values = pd.to_numeric(column.str.strip(" \t_"), errors="coerce").to_numpy(dtype=np.float64)
    return np.where((values >= low) & (values <= high), values, np.nan)


def attributes(a: pd.DataFrame) -> list[Floats]:
    """Return the columns of the application itself."""
    months = a["credit_history"].str.extract(r"^([0-9]+) Years and ([0-9]+) Months$").astype(float)
    history = (months[0] * 12 + months[1]).to_numpy()
    mix = a["credit_mix"].map({"Bad": 0.0, "Standard": 1.0, "Good": 2.0}).to_numpy()
    loans = a["loans"].str.replace("and ", "", regex=False)
    known = ~loans.isin(TOKENS).to_numpy()
    held = loans.str.get_dummies(sep=", ").reindex(columns=list(LOANS), fill_value=0)
    job = a["occupation"]
    employed = job.isin(OCCUPATIONS).to_numpy()
    return [
        number(a["months_employed"], 0, 600),
        number(a["annual_income"], 0, 1e7),
        *[np.where(employed, (job == name).to_numpy(), np.nan) for name in OCCUPATIONS],
        np.where(history <= 900, history, np.nan),
        number(a["credit_utilisation"], 0, 150),
        number(a["credit_enquiries"], 0, 50),
        mix,
        number(a["outstanding_debt"], 0, 1e7),
        *[np.where(known, held[name].to_numpy(), np.nan) for name in LOANS],
    ]


class Merged:
    """Events beside each application that may know them."""

    def __init__(self, a: pd.DataFrame, e: pd.DataFrame) -> None:
        """Merge and keep what lies in the longest window and was known."""
        keys = pd.DataFrame({"i": np.arange(len(a), dtype=np.int32), "customer": a["customer"].astype(np.int32)})
        keys["as_of"] = a["instant"].to_numpy()
        merged = e.merge(keys, on="customer", sort=False)
        age = merged["as_of"] - merged["occurred_at"]
        merged["age"] = age
        seen = (age > 0) & (age <= 365 * DAY) & (merged["recorded_at"] <= merged["as_of"])
        self.rows = merged.loc[seen, ["i", "kind", "amount", "age"]]
        self.count = len(a)
        self.moved = {
            days: self._summed(self.rows[self.rows["age"] <= days * DAY].assign(amount=lambda f: f["amount"].abs()))
            for days in (30, 90, 365)
        }

    def _summed(self, rows: pd.DataFrame) -> Floats:
        sums: Floats = rows.groupby("i")["amount"].sum().reindex(range(self.count)).fillna(0).to_numpy()
        return sums

    def group(self, kinds: tuple[int, ...], windows: tuple[int, ...], measures: tuple[str, ...]) -> dict[str, Floats]:
        """Return recency, counts and measures of the kinds, the shorter windows out of the longer."""
        own, found = self.rows[self.rows["kind"].isin(kinds)], {}
        for days in reversed(windows):
            own = own[own["age"] <= days * DAY]
            wanted = {"count": ("amount", "size"), "sum": ("amount", "sum")}
            wanted |= {m: ("amount", m) for m in ("min", "max") if m in measures}
            wanted |= {"age": ("age", "min")} if days == windows[-1] else {}
            table = own.groupby("i").agg(**wanted).reindex(range(self.count))
            for name in wanted:
                found[f"{name}_{days}"] = table[name].to_numpy(dtype=np.float64)
            for name in ("count", "sum"):
                found[f"{name}_{days}"] = np.nan_to_num(found[f"{name}_{days}"])
            if "std" in measures:
                squares = self._summed(own.assign(amount=own["amount"] ** 2))
                found[f"squares_{days}"] = squares
            if "share" in measures:
                found[f"share_{days}"] = ratio(self._summed(own.assign(amount=own["amount"].abs())), self.moved[days])
        return found


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Divide, missing where there is nothing to divide by."""
    result: Floats = np.divide(numerator, denominator, out=np.full(len(numerator), np.nan), where=denominator != 0)
    return result


def history(a: pd.DataFrame, e: pd.DataFrame) -> list[Floats]:
    """Return the RFM columns in the order of the spec."""
    merged = Merged(a, e)
    income = merged.group((0,), (90, 365), ("std",))
    spending = merged.group((1,), (30, 90, 365), ("min", "share"))
    instalments, trouble = merged.group((2,), (90, 365), ()), merged.group((3, 4), (90, 365), ("max",))
    columns = [income["age_365"] // DAY, *[income[f"count_{d}"] for d in (90, 365)]]
    for d in (90, 365):
        count, total = income[f"count_{d}"], income[f"sum_{d}"]
        spread = np.sqrt(count * income[f"squares_{d}"] - total * total)
        columns += [total / 100, ratio(total, count * 100), ratio(spread, count) / 100]
    columns.append(ratio(income["sum_90"] / 90, income["sum_365"] / 365))
    columns += [spending["age_365"] // DAY, *[spending[f"count_{d}"] for d in (30, 90, 365)]]
    for d in (30, 90, 365):
        total = spending[f"sum_{d}"]
        columns += [total / 100, ratio(total, spending[f"count_{d}"] * 100), spending[f"min_{d}"] / 100]
        columns.append(spending[f"share_{d}"])
    columns.append(ratio(spending["sum_30"] / 30, spending["sum_90"] / 90))
    columns += [instalments["age_365"] // DAY, *[instalments[f"count_{d}"] for d in (90, 365)]]
    columns += [instalments[f"sum_{d}"] / 100 for d in (90, 365)]
    columns += [trouble["age_365"] // DAY, *[trouble[f"count_{d}"] for d in (90, 365)]]
    for d in (90, 365):
        columns += [trouble[f"sum_{d}"] / 100, trouble[f"max_{d}"] / 100]
    return columns


def boosters(model: Path) -> list[xgboost.Booster]:
    """Load the ensembles of the ordinal form, that of the worst class first."""
    return [xgboost.Booster(model_file=path) for path in sorted(model.glob("model-*.ubj"))]


def predict(models: list[xgboost.Booster], matrix: Floats, policy: dict[str, Any]) -> Floats:
    """Return calibrated probabilities: products along the classes."""
    margins = np.column_stack([model.inplace_predict(matrix, predict_type="margin") for model in models])
    logits = margins * np.array(policy["scale"], np.float32) + np.array(policy["offset"], np.float32)
    better = 1 / (1 + np.exp(-logits))
    reached = np.cumprod(np.column_stack([np.ones(len(better)), better]), axis=1)
    return np.column_stack([reached[:, :-1] * (1 - better), reached[:, -1]])


def main(folder: Path, model: Path) -> None:
    """Read, clean, compute, predict, decide, write."""
    a, e = read(folder)
    a["instant"] = pd.to_datetime(a["as_of"], errors="coerce", utc=True).astype("int64")
    usable = (a["instant"] > 0) & (a["customer_id"] != "") & a["application_id"].is_unique
    a = a[usable].reset_index(drop=True)
    matrix = np.column_stack([*attributes(a), *history(a, e)]).astype(np.float32)
    policy = json.loads((model / "policy.json").read_text())
    probabilities = predict(boosters(model), matrix, policy)
    assigned = (probabilities @ np.array(policy["costs"])).argmin(axis=1)
    classes = np.array(policy["classes"])[assigned]
    columns = {f"p_{name.lower()}": probabilities[:, i] for i, name in enumerate(policy["classes"])}
    result = pd.DataFrame({"application_id": a["application_id"], **columns, "credit_class": classes})
    duckdb.from_df(result).write_parquet(str(folder / "script.parquet"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
