"""The registry: who proposes and approves what, four eyes, the chain, and what it keeps from being promoted."""

import json
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.train.registry import approve
from features.errors import SettingsError
from registry import LEDGER, Action, Entry, Ledger, Trust
from scoring import links
from tests.conftest import PROJECT, Credit
from tests.process.test_cli import examples
from tests.shell import call
from tests.waiting import wait_until

WHY = "--note=spring model"


@pytest.fixture
def bundles(bundle: Path, tmp_path: Path) -> Path:
    """A folder with one bundle of today and one of format 2."""
    folder = tmp_path / "bundles"
    shutil.copytree(bundle, folder / bundle.name)
    old = next(p for p in (PROJECT / "tests/formats/2/bundles").iterdir() if not p.is_symlink())
    shutil.copytree(old, folder / old.name)
    return folder


@pytest.fixture
def pair(bundles: Path, bundle: Path) -> tuple[Path, Path]:
    """Both bundles, that of today first."""
    (other,) = (path for path in bundles.iterdir() if path.name != bundle.name)
    return bundles / bundle.name, other


@pytest.fixture
def say(credit: Credit, bundles: Path) -> "Say":
    """Call `credit registry`, and expect an exit code."""
    return Say(credit, bundles)


class Say:
    """`credit registry` on one folder."""

    def __init__(self, credit: Credit, bundles: Path) -> None:
        """Take the command and the folder."""
        self.credit, self.bundles = credit, bundles

    def __call__(self, *words: object, code: int = 0) -> str:
        """Return what it says on both streams."""
        done = self.credit("registry", *words)
        assert done.returncode == code, done.stderr
        return done.stdout + done.stderr

    def init(self, *words: object) -> None:
        """Begin the registry."""
        self("init", "--bundles", self.bundles, "--by=Root", "--note=new", *words)


def test_a_bundle_goes_from_proposal_to_service_and_back(say: Say, pair: tuple[Path, Path], bundles: Path) -> None:
    new, old = pair
    say.init("--four-eyes")
    for one in (old, new):
        say("propose", one, "--by=Ada", WHY)
        assert "not approved" in say("list", "--bundles", bundles)
        say("approve", one, "--by=Grace", WHY)
        assert (bundles / "current").resolve() == one
    say("rollback", "--bundles", bundles, "--by=Ada", "--note=AUC fell")
    assert (bundles / "current").resolve() == old
    refused = say.credit("bundle", "rollback", "--bundles", bundles)
    assert refused.returncode == 2
    assert "credit registry rollback" in refused.stderr
    listed = say("list", "--bundles", bundles)
    assert listed.count("approved as current by Grace") == 2
    shown = say("show", bundles / "current")
    assert old.name in shown
    assert "AUC fell" in shown
    told = say("history", "--bundles", bundles)
    assert "6 entries, chain intact" in told
    say("rollback", "--bundles", bundles, "--by=Ada", "--note=it was the data")
    assert (bundles / "current").resolve() == new


def test_where_there_is_a_registry_promote_takes_only_what_is_approved(
    say: Say, pair: tuple[Path, Path], bundles: Path, credit: Credit
) -> None:
    new, _ = pair
    say.init()
    refused = credit("bundle", "promote", new)
    assert refused.returncode == 2
    assert "not proposed; this folder has a registry" in refused.stderr
    assert not (bundles / "current").exists()
    say("propose", new, "--by=Ada", WHY)
    assert credit("bundle", "promote", new).returncode == 2
    say("approve", new, "--by=Ada", WHY)
    assert credit("bundle", "promote", new).returncode == 0
    other = credit("bundle", "promote", new, "--as", "production")
    assert other.returncode == 2  # approved as current only
    assert "approved as current by Ada" in credit("bundle", "show", new).stdout


def test_the_examples_of_help_run(pair: tuple[Path, Path], bundles: Path, credit: Credit) -> None:
    folder = bundles.parent / "work"
    (folder / "demo").mkdir(parents=True)
    (folder / "demo/bundles").symlink_to(bundles)
    told = {command[1]: example[1:] for command, example in examples().items() if command[0] == "registry"}
    for number, one in enumerate(pair):
        (bundles / "current").unlink(missing_ok=True)
        (bundles / "current").symlink_to(one.name)
        for name in ("init", "propose", "approve", "list", "show", "history")[min(number, 1) :]:
            done = credit(*told.pop(name) if number else told[name], cwd=folder)
            assert done.returncode == 0, (name, done.stderr)
    assert credit(*told.pop("rollback"), cwd=folder).returncode == 0
    assert (bundles / "current").resolve() == pair[0]
    assert told.keys() == {"init", "mirror"}  # the latter needs a server: see test_registry_mirror


def test_four_eyes_are_two_people(say: Say, pair: tuple[Path, Path]) -> None:
    new, _ = pair
    say.init("--four-eyes")
    say("propose", new, "--by=Ada Lovelace", WHY)
    for same in ("Ada Lovelace", " ada  lovelace "):
        assert "another person approves" in say("approve", new, f"--by={same}", WHY, code=2)
    say("approve", new, "--by=Grace", WHY)


def test_nothing_is_approved_that_nobody_proposed(say: Say, pair: tuple[Path, Path], bundles: Path) -> None:
    say.init()
    assert "nobody proposed" in say("approve", pair[0], "--by=Ada", WHY, code=2)
    assert "no other bundle was approved" in say("rollback", "--bundles", bundles, "--by=A", WHY, code=2)


def test_without_a_registry_its_commands_say_how_to_begin(say: Say, pair: tuple[Path, Path], bundles: Path) -> None:
    for words in (("list", "--bundles", bundles), ("propose", pair[0], "--by=A", WHY)):
        assert "registry init" in say(*words, code=2)
    say.init()
    assert "once" in say("init", "--bundles", bundles, "--by=A", WHY, code=2)


def _changed(number: int, **values: object) -> Callable[[list[str]], list[str]]:
    def change(lines: list[str]) -> list[str]:
        entry = {**json.loads(lines[number]), **values}
        lines[number] = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return lines

    return change


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (_changed(1, by="Mallory"), 2),
        (_changed(0, four_eyes=False), 1),
        (_changed(2, link="production"), 3),
        (lambda lines: [*lines[:1], *lines[2:]], 2),
        (lambda lines: [lines[1], lines[0], lines[2]], 1),
        (lambda lines: [*lines, lines[-1]], 4),
        (lambda lines: [*lines[:2], " " + lines[2]], 3),
        (lambda lines: [*lines[:2], "{}"], 3),
        (lambda lines: [*lines[:2], "[" * 100_000], 3),
    ],
)
def test_a_ledger_edited_by_hand_is_refused(
    say: Say, pair: tuple[Path, Path], bundles: Path, change: Callable[[list[str]], list[str]], line: int
) -> None:
    say.init("--four-eyes")
    say("propose", pair[0], "--by=Ada", WHY)
    say("approve", pair[0], "--by=Grace", WHY)
    say("history", "--bundles", bundles)
    path = bundles / LEDGER
    lines = change(path.read_text().splitlines())
    path.write_text("\n".join(lines) + "\n")
    refused = say("history", "--bundles", bundles, code=2)
    assert f"line {line}:" in refused
    assert say("propose", pair[1], "--by=Ada", WHY, code=2)


def test_an_approval_cut_off_its_proposal_is_refused_although_the_chain_fits(
    say: Say, pair: tuple[Path, Path], bundles: Path
) -> None:
    """Somebody computes the chain anew: the rules are checked again at each reading."""
    say.init("--four-eyes")
    ledger = Ledger(bundles)
    (first,) = ledger.entries()
    forged = replace(first, number=2, action=Action.APPROVE, bundle=pair[0].name, link="current", previous=first.digest)
    (bundles / LEDGER).write_bytes(first.line() + b"\n" + replace(forged, four_eyes=False).sealed().line() + b"\n")
    with pytest.raises(SettingsError, match="nobody proposed"):
        ledger.entries()


def test_signed_entries_show_a_ledger_that_was_written_anew(
    say: Say, pair: tuple[Path, Path], bundles: Path, tmp_path: Path, credit: Credit
) -> None:
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    for name in ("Ada", "Grace", "Mallory"):
        assert credit("bundle", "keygen", "--name", name, "--out", tmp_path / name).returncode == 0
    for name in ("Ada", "Grace"):
        shutil.copy(tmp_path / f"{name}.toml", trusted)
    trust = ("--trust", trusted)

    def key(name: str) -> tuple[object, ...]:
        return (f"--by={name}", "--key", tmp_path / f"{name}.pem", WHY)

    say("init", "--bundles", bundles, *key("Ada"), "--signed", "--four-eyes")
    assert "give --key" in say("propose", pair[0], "--by=Ada", WHY, code=2)
    credit("bundle", "sign", pair[0], "--key", tmp_path / "Ada.pem")
    say("propose", pair[0], *key("Ada"), *trust)
    say("approve", pair[0], "--by=Grace", "--key", tmp_path / "Ada.pem", WHY, code=2)  # one key, two names
    say("approve", pair[0], *key("Grace"), *trust)
    assert "signed by trusted keys" in say("history", "--bundles", bundles, *trust)

    (bundles / LEDGER).unlink()
    (bundles / "current").unlink()
    say("init", "--bundles", bundles, *key("Mallory"), "--signed")
    assert "does not trust key" in say("history", "--bundles", bundles, *trust, code=2)
    (bundles / LEDGER).unlink()
    say("init", "--bundles", bundles, "--by=Ada", "--key", tmp_path / "Mallory.pem", "--signed", WHY)
    assert "does not trust key" in say("history", "--bundles", bundles, *trust, code=2)


@pytest.mark.parametrize("fault", ["another key", "revoked", "another name", "expired"])
def test_with_trust_no_entry_is_written_that_the_next_command_would_refuse(
    fault: str, say: Say, pair: tuple[Path, Path], bundles: Path, tmp_path: Path
) -> None:
    credit, trusted = say.credit, tmp_path / "trusted"
    trusted.mkdir()
    for name in ("Ada", "Grace", "Mallory"):
        assert credit("bundle", "keygen", "--name", name, "--out", tmp_path / name).returncode == 0
    for name in ("Ada", "Grace"):
        shutil.copy(tmp_path / f"{name}.toml", trusted)
    more = {"revoked": "revoked = true\n", "expired": "not_after = 2020-01-01\n"}.get(fault, "")
    (trusted / "Grace.toml").write_text((trusted / "Grace.toml").read_text() + more)
    signer, by = (
        ("Mallory", "Mallory") if fault == "another key" else ("Grace", "grace" if "name" in fault else "Grace")
    )
    trust, ada = ("--trust", trusted), ("--by=Ada", "--key", tmp_path / "Ada.pem", WHY)
    say("init", "--bundles", bundles, *ada, "--signed", *trust)
    credit("bundle", "sign", pair[0], "--key", tmp_path / "Ada.pem")
    say("propose", pair[0], *ada, *trust)
    before = (bundles / LEDGER).read_bytes()
    said = say("approve", pair[0], f"--by={by}", "--key", tmp_path / f"{signer}.pem", WHY, *trust, code=2)
    assert "nothing was written" in said
    assert (bundles / LEDGER).read_bytes() == before
    assert not (bundles / "current").exists()
    assert "2 entries, chain intact" in say("history", "--bundles", bundles, *trust)


def test_the_link_follows_before_another_approval_is_written(
    say: Say, pair: tuple[Path, Path], bundles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say.init()
    for one in pair:
        say("propose", one, "--by=Ada", WHY)
    promote, started, go_on = links.promote, threading.Event(), threading.Event()

    def slowly(bundle: Path, name: str) -> Path:
        started.set()
        go_on.wait(5 if bundle == pair[0] else 0)
        return promote(bundle, name)

    monkeypatch.setattr("cli.train.registry.links.promote", slowly)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(approve, pair[0], by="Bo", note="x")
        assert started.wait(60)
        second = pool.submit(approve, pair[1], by="Cy", note="x")
        assert not wait_until(second.done, seconds=1)  # it waits for the link of the first
        go_on.set()
        first.result(60)
        second.result(60)
    assert Ledger(bundles).entries()[-1].bundle == pair[1].name
    assert (bundles / "current").resolve() == pair[1]


@pytest.mark.parametrize("name", ["\U00020bb7\u91ce", 'O"Brien \\', "Zo\u00eb \U0001f600"])
def test_a_key_of_any_name_can_be_trusted(name: str, tmp_path: Path, credit: Credit) -> None:
    assert credit("bundle", "keygen", "--name", name, "--out", tmp_path / "key").returncode == 0
    (key,) = Trust.read(tmp_path / "key.toml").keys.values()
    assert key.name == name
    refused = credit("bundle", "keygen", "--name", "a\nb", "--out", tmp_path / "other")
    assert refused.returncode == 2
    assert not (tmp_path / "other.pem").exists()


@pytest.mark.parametrize("short", ["356985c0ad59", "A" * 64, " " + "a" * 64])
def test_a_revoked_bundle_that_is_no_whole_id_is_refused(short: str, tmp_path: Path, credit: Credit) -> None:
    assert credit("bundle", "keygen", "--name", "Ada", "--out", tmp_path / "ada").returncode == 0
    file = tmp_path / "ada.toml"
    file.write_text(f'revoked_bundles = ["{short}"]\n' + file.read_text())
    with pytest.raises(SettingsError, match=r"is no id\. Expected all of its 64 digits"):
        Trust.read(file)


def test_two_approvals_at_once_are_both_in_the_chain(say: Say, pair: tuple[Path, Path], bundles: Path) -> None:
    say.init()
    say("propose", pair[0], "--by=Ada", WHY)

    def write(number: int) -> None:
        ledger = Ledger(bundles)
        with ledger.changing():
            entry = Entry.new(Action.APPROVE, f"P{number}", "x", bundle=pair[0].name, link="current")
            ledger.append(entry, datetime.now(UTC))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(12)))
    assert [entry.number for entry in Ledger(bundles).entries()] == list(range(1, 15))


def test_a_ledger_cut_within_a_line_is_refused(say: Say, bundles: Path) -> None:
    say.init()
    path = bundles / LEDGER
    path.write_bytes(path.read_bytes()[:-20])
    assert "ends within a line" in say("list", "--bundles", bundles, code=2)


def test_a_link_that_is_no_name_is_refused_before_anything_is_written(
    say: Say, pair: tuple[Path, Path], bundles: Path
) -> None:
    say.init()
    say("propose", pair[0], "--by=Ada", WHY)
    before = (bundles / LEDGER).read_bytes()
    for name in ("../current", "a/b", "", pair[1].name):
        assert call(("registry", "approve", pair[0], "--by=B", WHY, f"--as={name}"), bundles).returncode == 2
    assert (bundles / LEDGER).read_bytes() == before


def test_no_trust_file_is_no_trust(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        Trust.read(tmp_path / "none.toml")
