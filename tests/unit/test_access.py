"""Files with personal data are their owner's alone; what terminals obey is shown, not obeyed."""

import json
import os
import stat
from pathlib import Path

import polars as pl
import pytest

from cli.console import visible
from tests.conftest import Credit


def open_to_others(folder: Path, rights: int) -> list[str]:
    """What grants more than `rights` to group and others."""
    return [
        str(p) for p in (folder, *folder.rglob("*")) if not p.is_symlink() and stat.S_IMODE(p.stat().st_mode) & ~rights
    ]


RIGHTS = {"": (0o600, 0o700), "group": (0o640, 0o750)}


@pytest.mark.parametrize("setting", RIGHTS)
def test_what_commands_write_is_the_owners_unless_the_group_may_read(
    setting: str, bundle: Path, tonight: Path, credit: Credit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDIT_FILES", setting)
    file, folder = RIGHTS[setting]
    new = tonight / "new"
    new.mkdir(mode=folder)
    before = os.umask(0o022)
    try:
        tables = ("--applications", tonight / "applications.csv", "--events", tonight / "events.csv")
        for command in (
            ("score", "--bundle", bundle, *tables, "--out", new / "decisions.csv", "--log", new / "log"),
            ("key", "new", "--keys", new / "keys.json", "--name", "me"),
        ):
            done = credit(*command)
            assert done.returncode == 0, done.stderr
    finally:
        os.umask(before)
    assert not open_to_others(new, folder)
    assert stat.S_IMODE((new / "log").stat().st_mode) == folder
    assert stat.S_IMODE((new / "decisions.csv").stat().st_mode) == file
    assert {"decisions.csv", "decisions.rejects.csv"} <= {p.name for p in new.iterdir()}


def test_another_word_than_private_or_group_is_refused(credit: Credit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDIT_FILES", "everybody")
    done = credit("key", "list")
    assert (done.returncode, "CREDIT_FILES: expected private" in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("A-1\x1b[2J\x1b]0;owned\x07", "A-1\\u001b[2J\\u001b]0;owned\\u0007"),
        ("\x9b31mred", "\\u009b31mred"),
        ("a\rb\x08c\x7f", "a\\u000db\\u0008c\\u007f"),
        ("\u202egnp.exe\u2066", "\\u202egnp.exe\\u2066"),
        ("line\u2028end\ufeff", "line\\u2028end\\ufeff"),
        ("Zoë Müller 李 👩‍🔬", "Zoë Müller 李 👩‍🔬"),
    ],
)
def test_what_a_terminal_would_obey_is_shown(text: str, shown: str) -> None:
    assert visible(text) == shown
    line = json.dumps({"id": text}, ensure_ascii=False)
    assert json.loads(visible(line)) == {"id": text}, "JSON means the same"
    assert visible("a\nb\tc") == "a\nb\tc"
    assert visible("a\nb", keep="") == "a\\u000ab"


def test_an_id_from_outside_reaches_no_terminal_as_it_is(
    credit: Credit, bundle: Path, tonight: Path, tmp_path: Path
) -> None:
    evil = "A-\x9b2J\u202eevil"
    csv = (tonight / "applications.csv").read_text().splitlines()
    first = csv[1].split(",")[0]
    (tmp_path / "applications.csv").write_text("\n".join([csv[0], csv[1].replace(first, evil, 1), *csv[2:]]))
    tables = ("--applications", tmp_path / "applications.csv", "--events", tonight / "events.csv")
    for command in (("explain",), ("features",)):
        done = credit(*command, "--bundle", bundle, *tables, "--application-id", evil)
        assert "\x9b" not in done.stdout + done.stderr
        assert "\u202e" not in done.stdout + done.stderr


def test_ids_are_no_formulas_in_csv_where_that_is_asked_for(credit: Credit, bundle: Path, tonight: Path) -> None:
    lines = (tonight / "applications.csv").read_text().splitlines()
    first = lines[1].split(",")[0]
    (tonight / "evil.csv").write_text("\n".join([lines[0], lines[1].replace(first, "=cmd()", 1), *lines[2:], ""]))
    tables = ("--applications", tonight / "evil.csv", "--events", tonight / "events.csv")
    for option, expected in (((), "=cmd()"), (("--spreadsheet-safe",), "'=cmd()")):
        done = credit("score", "--bundle", bundle, *tables, "--out", tonight / "decisions.csv", *option)
        assert done.returncode == 0, done.stderr
        written = pl.read_csv(tonight / "decisions.csv", infer_schema=False)
        rejected = pl.read_csv(tonight / "decisions.rejects.csv", infer_schema=False)
        ids = {*written["application_id"], *rejected["application_id"]}
        assert [name for name in ids if name and "cmd" in name] == [expected]
        assert not any(value.startswith("'") for value in written["reason_1_contribution"].drop_nulls())
