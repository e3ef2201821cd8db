"""What a CSV file of applications can be instead, made of a good one's text."""

from collections.abc import Callable

STRUCTURES: dict[str, Callable[[str], bytes]] = {
    "no bytes": lambda _: b"",
    "only line ends": lambda _: b"\n\n\n",
    "only a byte order mark": lambda _: b"\xef\xbb\xbf",
    "only a header": lambda t: t.split("\n")[0].encode() + b"\n",
    "a header without a line end": lambda t: t.split("\n")[0].encode(),
    "no header": lambda t: t.split("\n", 1)[1].encode(),
    "a byte order mark": lambda t: b"\xef\xbb\xbf" + t.encode(),
    "UTF-16": lambda t: t.encode("utf-16"),
    "UTF-32": lambda t: t.encode("utf-32"),
    "Latin-1": lambda t: (t + "Müller" + "," * 11 + "\n").encode("latin-1"),
    "a lone surrogate": lambda t: t.encode() + b"\xed\xa0\x80" + b"," * 11 + b"\n",
    "an overlong character": lambda t: t.encode() + b"\xc0\xaf" + b"," * 11 + b"\n",
    "a NUL": lambda t: t.encode() + b"\0" + b"," * 11 + b"\n",
    "CRLF": lambda t: t.replace("\n", "\r\n").encode(),
    "CR": lambda t: t.replace("\n", "\r").encode(),
    "mixed line ends": lambda t: t.replace("\n", "\r\n", 1).encode(),
    "a blank line inside": lambda t: t.replace("\n", "\n\n", 1).encode(),
    "a blank line at the end": lambda t: t.encode() + b"\n",
    "cut in a field": lambda t: t.encode()[:-3],
    "cut in a line": lambda t: t.encode()[:-30] + b"\n",
    "a field too few": lambda t: t.encode() + b"a,b,c\n",
    "a field too many": lambda t: t.encode() + b"," * 12 + b"\n",
    "an open quote": lambda t: t.encode() + b'"' + b"," * 11 + b"\n",
    "a quote inside": lambda t: t.encode() + b'a"b' + b"," * 11 + b"\n",
    "text behind a quote": lambda t: t.encode() + b'"a"b' + b"," * 11 + b"\n",
    "quoted cells": lambda t: (
        "\n".join(",".join(f'"{c}"' for c in r.split(",")) for r in t.strip().split("\n")).encode() + b"\n"
    ),
    "single quotes": lambda t: (
        "\n".join(",".join(f"'{c}'" for c in r.split(",")) for r in t.strip().split("\n")).encode() + b"\n"
    ),
    "semicolons": lambda t: t.replace(",", ";").encode(),
    "tabs": lambda t: t.replace(",", "\t").encode(),
    "bars": lambda t: t.replace(",", "|").encode(),
    "spaces behind commas": lambda t: t.replace(",", ", ").encode(),
    "a doubled column": lambda t: t.replace("months_employed", "occupation", 1).encode(),
    "a column in capitals": lambda t: t.replace("months_employed", "MONTHS_EMPLOYED", 1).encode(),
    "a column missing": lambda t: "\n".join(r.split(",", 1)[1] for r in t.strip().split("\n")).encode() + b"\n",
    "a column without name": lambda t: t.replace("months_employed", "", 1).encode(),
    "a column more": lambda t: "\n".join(r + ",1" for r in t.strip().split("\n")).encode() + b"\n",
    "10,000 columns more": lambda t: wide(t, 10_000),
    "a comment in front": lambda t: b"# export\n" + t.encode(),
    "sep= in front": lambda t: b"sep=,\n" + t.encode(),
    "a total at the end": lambda t: t.encode() + b"TOTAL" + b"," * 11 + b"\n",
    "the header again": lambda t: t.encode() + t.split("\n")[0].encode() + b"\n",
    "every row twice": lambda t: t.encode() + t.split("\n", 1)[1].encode(),
    "a zip file": lambda _: b"PK\x03\x04" + bytes(100),
    "gzip": lambda _: b"\x1f\x8b\x08" + bytes(100),
    "a spreadsheet's XML": lambda _: b'<?xml version="1.0"?>\n<Workbook/>\n',
    "JSON lines": lambda _: b'{"application_id": "A1"}\n',
    "Parquet named CSV": lambda _: b"PAR1" + bytes(100) + b"PAR1",
}


def wide(text: str, more: int) -> bytes:
    header, *rows = text.strip().split("\n")
    names = ",".join(f"x{i}" for i in range(more))
    return ("\n".join([f"{header},{names}", *[row + "," * more for row in rows]]) + "\n").encode()
