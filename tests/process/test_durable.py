"""What is put in place is there after a crash of the machine as well: its bytes and, in its folder, its name."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from model_export.write_bundle import publish
from scoring import links
from serving.keys import KeyFile
from storage.durable import put, replace_files
from storage.locks import BusyError, Lock
from tests.conftest import PROJECT
from tests.process.test_layout import MODULES


def keys(folder: Path) -> Path:
    KeyFile(folder / "keys.json").new("a caller", "2026-01-01T00:00:00Z")
    return folder / "keys.json"


def output(folder: Path) -> Path:
    replace_files({folder / "decisions.csv": b"application_id\n"})
    return folder / "decisions.csv"


def receipt(folder: Path) -> Path:
    put(folder / "head.json", b"{}")
    return folder / "head.json"


def link(folder: Path) -> Path:
    links._point(folder / "current", Path("a"))
    return folder / "current"


def bundle(folder: Path) -> Path:
    return publish({"spec.toml": b""}, {}, folder)


WRITERS = (keys, output, receipt, link, bundle)


@pytest.mark.parametrize("write", WRITERS)
def test_a_name_is_on_the_disk_when_its_writer_returns(
    write: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[Path] = []
    flush = os.fsync

    def seen(descriptor: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        flush(descriptor)

    monkeypatch.setattr("os.fsync", seen)
    assert write(tmp_path).parent == tmp_path
    assert flushed[-1] == tmp_path
    assert len(flushed) > 1 or write is link  # a link has no content


def test_a_file_of_keys_is_its_owners_alone(tmp_path: Path) -> None:
    os.umask(0o022)
    assert keys(tmp_path).stat().st_mode & 0o777 == 0o600


def test_no_package_has_a_writer_or_a_lock_of_its_own() -> None:
    own = ("os.fsync", "fcntl.", ".replace(path)", "O_TRUNC")
    writers = [path for path in MODULES if any(word in path.read_text() for word in own)]
    assert {path.parent.name for path in writers} <= {"storage"}


@pytest.mark.process
def test_a_lock_is_held_by_one_and_free_again_when_its_process_is_gone(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with Lock(path, "busy"), pytest.raises(BusyError, match="busy"):
        Lock(path, "busy")
    code = (
        "import sys; from pathlib import Path; from storage.locks import Lock; "
        f"lock = Lock(Path({str(path)!r})); print('held', flush=True); sys.stdin.read()"
    )
    held = subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with held:
        assert held.stdout is not None
        assert held.stdout.readline() == b"held\n"
        with pytest.raises(BusyError):
            Lock(path)
        held.kill()
        held.wait()
        Lock(path).release()
