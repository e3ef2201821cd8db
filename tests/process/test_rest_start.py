"""The start of door 3: settings, the port, the bundle and its golden rows."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import Credit
from tests.rest_door import running
from tests.unit.test_bundle import republish, shift_golden

pytestmark = pytest.mark.process


@pytest.mark.parametrize("workers", [1, 2])
def test_golden_rows_that_differ_in_one_bit_are_never_served(
    workers: int, bundle: Path, tmp_path: Path, credit: Credit
) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / bundle.name))
    shift_golden(copy, 1e-7)
    done = credit("serve", "--bundle", republish(copy), "--port", 0, "--no-auth", "--workers", workers)
    assert done.returncode == 2
    assert "golden rows come out differently" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--no-auth", "--host", "0.0.0.0"), "is not loopback"),  # noqa: S104 - the very mistake
        (("--keys", "absent.json"), "credit key new"),
        (("--framework", "django"), "framework"),
        (("--workers", "0"), "workers"),
        (("--port", "1", "--no-auth", "--host", "192.0.2.1"), "loopback"),
    ],
)
def test_settings_that_cannot_be_used_end_with_2(
    arguments: tuple[str, ...], message: str, bundle: Path, credit: Credit
) -> None:
    done = credit("serve", "--bundle", bundle, *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_named(bundle: Path, tmp_path: Path, credit: Credit) -> None:
    with running(bundle, tmp_path, "fastapi") as door:
        done = credit("serve", "--bundle", bundle, "--no-auth", "--port", door.port)
    assert done.returncode == 2
    assert f"port {door.port}" in done.stderr


def test_the_link_is_resolved_once(bundle: Path, tmp_path: Path) -> None:
    link = tmp_path / "current"
    link.symlink_to(bundle)
    with running(link, tmp_path / "door", "fastapi", "--workers", 2) as door:
        assert door.workers_ready(2)
        link.unlink()
        door.processes()[0].kill()
        assert door.workers_ready(3)
        assert door.ask("GET", "/v1/bundle").json["bundle_id"] == bundle.name


def test_flags_come_before_the_environment_and_that_before_defaults(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDIT_API_FRAMEWORK", "fastapi")
    with running(bundle, tmp_path, "flask", "--rate-limit", 0.02, rate_limit=1000) as door:
        (ready,) = [line for line in door.lines() if line["event"] == "ready"]
        assert ready["framework"] == "flask"
        assert {door.ask("GET", "/v1/schema").status for _ in range(3)} == {200, 429}
