"""Door 1 when the machine fails: killed, full, stopped, twice at once, or with an input that moves."""

import errno
import hashlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from batch.job import BatchJob, only_run, run_batch
from features.errors import DeliveryError, InputError
from scoring.scorer import Scorer
from storage.tables.tables import read_table
from tests.batch_parts import REST, outputs, with_rows
from tests.conftest import PROJECT, Credit
from tests.waiting import PATIENCE_S

SMALL = 40_000  # bytes: the 200 applications become several partitions


def one_more(job: BatchJob) -> BatchJob:
    """Tonight's applications differ from those of the previous output."""
    return with_rows(job, f"X1,C9,2025-06-30,{REST}")


def litter(job: BatchJob) -> list[str]:
    return [path.name for path in job.out.parent.iterdir() if path.name.startswith(".")]


def python(*arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    return subprocess.Popen(
        command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


@pytest.mark.process
@pytest.mark.parametrize(
    ("partition_bytes", "memory"),
    [(SMALL, 0), (1 << 26, 1 << 40)],
    ids=["several partitions on disk", "one partition in memory"],
)
def test_killed_at_every_step_the_output_is_old_or_new(
    partition_bytes: int, memory: int, job: BatchJob, scorer: Scorer, bundle: Path
) -> None:
    run_batch(job, scorer)
    old = [hashlib.sha256(content).hexdigest() for content in outputs(job)]
    fresh = replace(one_more(job), out=job.out.with_name("expected.csv"))
    run_batch(fresh, scorer)
    new = [hashlib.sha256(content).hexdigest() for content in outputs(fresh)]
    assert old[0] != new[0]
    process = python(
        "-m", "tests.killed_run", bundle, job.applications, job.events, job.out, f"{partition_bytes},{memory}"
    )
    said, error = process.communicate(timeout=900)
    steps = [line.split() for line in said.splitlines()]
    assert steps[-1] == ["end", "0", *new], (said[-400:], error)
    for number, (what, code, *digests) in enumerate(steps[:-1]):
        assert code == "9", f"step {number}, {what}"
        assert all(d in pair for d, pair in zip(digests, zip(old, new, strict=True), strict=True)), f"{number}, {what}"
    assert {step[0] for step in steps[:-1]} == {"open", "write", "fsync", "os.rename", "os.remove"} | (
        set() if memory else {"pwrite"}
    )
    assert [step[0] for step in steps].count("fsync") == 4, "each of the three files and their folder is flushed"
    assert {step[2] == new[0] for step in steps} == {True, False}
    assert not litter(job), "none is left by the run after a kill"


def test_a_full_disk_at_any_size_leaves_the_previous_output(job: BatchJob, scorer: Scorer) -> None:
    run_batch(job, scorer)
    before = outputs(job)
    events = job.applications.with_name("events.csv")
    lines = events.read_text().splitlines(keepends=True)
    events.write_text("".join(lines[:9]))  # so that the output is larger than the temporary files
    job = replace(one_more(job), allow_empty_events=True, memory=0)  # few events are not what is tried here
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    said = []
    for limit in [round(2_000 * 1.1**step) for step in range(80)]:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            run_batch(job, scorer)
        except DeliveryError as error:
            said.append(str(error))
            assert outputs(job) == before
            assert not litter(job)
        else:
            break
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert outputs(job) != before
    assert "a temporary file beside the output failed (File too large)" in said[0]
    assert "the output could not be written (File too large)" in said[-1]


def test_a_full_disk_is_named_when_parquet_is_written(
    job: BatchJob, scorer: Scorer, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = replace(job, out=job.out.with_suffix(".parquet"))
    run_batch(job, scorer)
    before, real = job.out.read_bytes(), os.write

    def full(descriptor: int, content: bytes) -> int:
        if bytes(content[:4]) == b"PAR1":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, content)

    monkeypatch.setattr("storage.durable.os.write", full)
    with pytest.raises(DeliveryError, match=r"the output could not be written \(No space left on device\)"):
        run_batch(job, scorer)
    assert job.out.read_bytes() == before
    assert not litter(job)


def test_what_a_killed_run_left_is_removed_by_the_next_even_if_that_fails(job: BatchJob, scorer: Scorer) -> None:
    for name in (".decisions.csv.part", ".decisions.run.json.part", ".decisions.csv.x1y2.spool", ".decisions.csv.lock"):
        (job.out.parent / name).touch()
    other = job.out.parent / ".other.csv.x1y2.spool"
    other.touch()
    with pytest.raises(InputError):
        run_batch(replace(job, events=Path("absent.csv")), scorer)
    assert litter(job) == [other.name]


def test_a_second_run_on_the_same_output_ends_with_a_clear_message(job: BatchJob, scorer: Scorer) -> None:
    with only_run(job.out), pytest.raises(DeliveryError, match=r"decisions\.csv: another run is writing this output"):
        run_batch(job, scorer)
    run_batch(job, scorer)
    assert not litter(job)


def as_parquet(path: Path) -> Path:
    read_table(path, "table").write_parquet(path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more\n")


def put_another_in_its_place(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("change", [append, put_another_in_its_place])
def test_a_file_that_changes_while_it_is_read_is_refused(
    change: Callable[[Path], None], suffix: str, job: BatchJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = job.applications if suffix == ".csv" else as_parquet(job.applications)
    real, calls = os.fstat, []

    def changing(descriptor: int) -> os.stat_result:
        status = real(descriptor)
        if os.path.samestat(status, path.stat()):
            calls.append(descriptor)
            if len(calls) == 1:  # it was opened
                change(path)
        return status

    monkeypatch.setattr("storage.opened.os.fstat", changing)
    with pytest.raises(InputError, match=rf"applications\{suffix}: (changed while it was read|not readable)"):
        read_table(path, "applications")


def test_an_input_that_is_no_regular_file_is_refused_at_once(job: BatchJob, bundle: Path, credit: Credit) -> None:
    fifo = job.out.parent / "slow.csv"
    os.mkfifo(fifo)
    done = credit("score", "--bundle", bundle, "--applications", fifo, "--events", job.events, "--out", job.out)
    assert (done.returncode, done.stdout) == (1, "")
    assert "slow.csv: is no regular file. Expected a file on disk" in done.stderr
    done = credit("evaluate", "--decisions", fifo, "--labels", fifo)
    assert (done.returncode, "is no regular file" in done.stderr) == (1, True)


SLOW = """
import sys, time
from pathlib import Path
from scoring.scorer import Scorer
real = Scorer.score
def slow(self, applications, events):
    if hasattr(self, "golden") and applications.height:
        Path(sys.argv[-1]).with_name("scoring").touch()
        time.sleep(1)
    return real(self, applications, events)
Scorer.score = slow
from cli.main import main
main()
"""


@pytest.mark.process
def test_sigterm_leaves_the_old_output_and_no_litter(job: BatchJob, bundle: Path) -> None:
    job.out.write_text("yesterday")
    arguments = ("score", "--bundle", bundle, "--applications", job.applications, "--events", job.events)
    with python("-c", SLOW, *arguments, "--out", job.out) as process:
        while not job.out.with_name("scoring").exists():
            assert process.poll() is None
            time.sleep(0.01)
        assert (job.out.parent / ".decisions.csv.lock").exists()
        process.terminate()
        assert process.wait(PATIENCE_S) == 128 + 15
    assert job.out.read_text() == "yesterday"
    assert not litter(job)
