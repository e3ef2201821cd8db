"""A large CSV file is read span by span, by several processes: the same records and the same refusals as in one go."""

import random
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from features.errors import InputError
from storage.tables import CsvSpan, SourceTable, spans

CELLS = ["", "1", "a b", '"a, b"', '"a\nb"', '"a\r\nb"', '"say ""no"""', '"\n\n,"""', '""', '"ä\n€"', '"\n"']


def written(folder: Path, seed: int, rows: int = 400) -> Path:
    """A file whose cells hold separators, quotes and line ends, with lines that end in one of two ways."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    end = draw.choice(["\n", "\r\n"])
    cells = [*CELLS, '"' + "x\n" * 900 + '"'] if seed % 2 else CELLS
    lines = [",".join(draw.choice(cells) for _ in range(3)) for _ in range(rows)]
    path = folder / "applications.csv"
    path.write_text(end.join(["first,second,third", *lines, ""]), newline="")
    return path


def read(path: Path, pieces: int | None) -> tuple[pl.DataFrame, list[CsvSpan]]:
    """The table, whole or cut; and the spans."""
    with SourceTable(path, "applications", chunk_bytes=500) as table:
        if pieces is None:
            return pl.concat(list(table.blocks_of(0))), []
        size = path.stat().st_size
        chunk = -(-size // pieces)
        found = spans([table.look_for_cuts(0, at, min(at + chunk, size)) for at in range(0, size, chunk)], size)
        return pl.concat([block for span in found for block in table.blocks_of(0, span)]), found


@pytest.mark.parametrize("seed", range(6))
def test_spans_hold_the_records_of_the_file(seed: int, tmp_path: Path) -> None:
    path = written(tmp_path, seed)
    whole, _ = read(path, None)
    assert whole.height == 400
    cut = 0
    for pieces in (1, 3, 40):
        parts, found = read(path, pieces)
        assert parts.equals(whole)
        assert [a.end for a in found] == [*[b.start for b in found[1:]], path.stat().st_size]
        content = path.read_bytes()
        assert [span.line for span in found] == [content[: span.start].count(b"\n") + 1 for span in found]
        cut = max(cut, len(found))
    assert cut > 10


FAULTS: dict[str, Callable[[str], str]] = {
    "cut": lambda text: text[:-7],
    "cut at a line end": lambda text: text[: text.rindex('"a\n') + 3],
    "uneven": lambda text: "a b,".join(text.rsplit("a b", 1)),
    "quote": lambda text: text.replace("a b", 'a "b', 3),
    "late quote": lambda text: 'a "b'.join(text.rsplit("a b", 1)),
    "never closed": lambda text: text + '1,2,"3\n',
    "return": lambda text: text.replace("a b", "a\rb"),
    "NUL": lambda text: "\0".join(text.rsplit("a b", 1)),
    "bytes": lambda text: "\udcff".join(text.rsplit("a b", 1)),
    "header": lambda text: "one," + text,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_no_proper_csv_is_refused_span_by_span_as_in_one_go(fault: str, tmp_path: Path) -> None:
    for seed in range(2):
        path = written(tmp_path, seed, 150)
        with path.open(newline="") as file:
            text = file.read()
        path.write_bytes(FAULTS[fault](text).encode("utf-8", "surrogateescape"))
        with pytest.raises(InputError) as whole:
            read(path, None)
        for pieces in (2, 30):
            with pytest.raises(InputError) as parts:
                read(path, pieces)
            assert str(parts.value) == str(whole.value)
