"""Which files are a table: one file, or the part files below a folder in the order of their paths."""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

from features.errors import InputError
from storage.tables.compressed import COMPRESSED
from storage.targets import refuse_addresses

PARQUET = ".parquet"
_SUFFIXES = (".csv", *[f".csv{suffix}" for suffix in COMPRESSED], PARQUET)
_EXPECTED = f".csv or {PARQUET} (CSV may be compressed: {', '.join(_SUFFIXES[1:-1])})"
_MOST_LEVELS = 12
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_PART_NUMBER = re.compile(r"part[-_.]?(\d{1,6})(?!\d)", re.IGNORECASE)
_NUMBER_OF_ALL = re.compile(r"(\d+)[-_. ]?of[-_. ]?(\d+)", re.IGNORECASE)


def find_tables(folder: Path, name: str) -> list[Path]:
    """Find the files, and the folder of part files, that a folder has of the table `name`; one is expected."""
    return [path for suffix in ("", *_SUFFIXES) if (path := folder / f"{name}{suffix}").exists()]


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a table; `name` is its path below the folder, `partition` what its folders' names say (KEY=VALUE)."""

    path: Path
    name: str
    partition: tuple[tuple[str, str | None], ...] = ()

    @property
    def is_parquet(self) -> bool:
        """Whether it is Parquet, and no CSV."""
        return _suffix(self.path) == PARQUET


def find_parts(path: Path, table: str) -> list[Part]:
    """Find the files of a table; `table` names it in messages.

    Names that begin with . or _ are skipped.

    Raises:
        InputError: there is no such file, a folder holds other things, or is known to be incomplete.

    """
    refuse_addresses(path)
    if not path.exists():
        raise InputError(f"{path}: no such file or folder. Expected the {table} as CSV or Parquet.")
    parts = _below(path, "", (), table) if path.is_dir() else [Part(path, path.name)]
    for part in parts:
        if not _suffix(part.path):
            found = part.path.suffix or "nothing"
            raise InputError(f"{part.path}: its name ends in {found}, expected {_EXPECTED}.")
    if len({part.is_parquet for part in parts}) > 1:
        raise _mixed(path, {_suffix(part.path) for part in parts})
    keys = [[key for key, _ in part.partition] for part in parts]
    for part, found_keys in zip(parts, keys, strict=True):
        if found_keys != keys[0]:
            raise InputError(
                f"{part.path}: lies below other folders than {parts[0].name}. Expected the same KEY=VALUE."
            )
    return sorted(parts, key=lambda part: part.path)


def _below(folder: Path, name: str, partition: tuple[tuple[str, str | None], ...], table: str) -> list[Part]:
    entries = sorted(folder.iterdir())
    shown = [p for p in entries if not p.name.startswith((".", "_"))]
    if folder / "_temporary" in entries and folder / "_SUCCESS" not in entries:
        raise InputError(f"{folder}: is still being written (it holds _temporary). Start when it is complete.")
    if not shown:
        raise InputError(f"{folder}: the folder is empty. Expected part files of the {table}, CSV or Parquet.")
    folders = [p for p in shown if p.is_dir()]
    if not folders:
        suffixes = {_suffix(p) or p.suffix.lower() for p in shown}
        if suffixes - set(_SUFFIXES) and len(suffixes) > 1:
            raise _mixed(folder, suffixes)
        _check_complete(folder, [p.name for p in shown])
        return [Part(p, f"{name}{p.name}", partition) for p in shown]
    pairs = [p.name.split("=", 1) for p in folders]
    if (
        len(folders) < len(shown)
        or any(len(pair) < 2 or not pair[0] for pair in pairs)
        or name.count("/") > _MOST_LEVELS
    ):
        names = ", ".join(p.name for p in folders[:5])
        raise InputError(
            f"{folder}: holds subfolders ({names}). Expected part files alone, or folders that are all named "
            "KEY=VALUE, as in month=2026-01. Give one of the subfolders, or put the files into one folder."
        )
    return [
        part
        for p, (key, value) in zip(folders, pairs, strict=True)
        for part in _below(p, f"{name}{p.name}/", (*partition, (unquote(key), _value(value))), table)
    ]


def _value(text: str) -> str | None:
    return None if text == _NO_VALUE else unquote(text)


def _suffix(path: Path) -> str:
    """Return the suffix that says what the file is, or nothing."""
    name = path.name.lower()
    return next((suffix for suffix in _SUFFIXES if name.endswith(suffix)), "")


def _mixed(folder: Path, suffixes: set[str]) -> InputError:
    return InputError(
        f"{folder}: expected part files of one kind, .csv or .parquet, found {', '.join(sorted(suffixes))}. "
        "Move other files elsewhere (names that begin with . or _ are skipped)."
    )


def _check_complete(folder: Path, names: list[str]) -> None:
    """Refuse a folder whose files say how many they are (3-of-10) where they are fewer."""
    said = [match for name in names if (match := _NUMBER_OF_ALL.search(name))]
    if len(said) < len(names):
        return
    numbers, totals = {int(m[1]) for m in said}, {int(m[2]) for m in said}
    if len(totals) == 1 and len(numbers) < max(totals):
        raise InputError(
            f"{folder}: holds {len(numbers)} of the {max(totals)} files that their names announce. Copy the others too."
        )


def missing_numbers(parts: list[Part]) -> str | None:
    """Say which numbers lack between those of part files (part-00002); None where none does, or files have none."""
    numbers = [int(match[1]) for part in parts if (match := _PART_NUMBER.match(part.path.name))]
    if len(numbers) < len(parts) or len({part.path.parent for part in parts}) > 1:
        return None
    ordered = sorted({0 if 0 in numbers else 1, *numbers})
    gaps = [number for low, high in pairwise(ordered) for number in range(low + 1, high)]
    gaps += [ordered[0]] if ordered[0] not in numbers else []
    if not gaps:
        return None
    shown = ", ".join(map(str, sorted(gaps)[:5])) + (", ..." if len(gaps) > 5 else "")
    return f"part files are numbered up to {max(numbers)}, but there is none of number {shown}. Is the folder complete?"
