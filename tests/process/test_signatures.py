"""Signatures over bundles: which serve under `--trust`, and every way in which one must not."""

import base64
import hashlib
import json
import os
import random
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from features.errors import BundleError, CreditError, SettingsError
from registry import Trust, open_trusted, sign_bundle, signers
from registry.keys import make_key, read_key
from scoring.bundle.folder import MANIFEST, read_bundle
from scoring.scorer import Scorer
from tests.conftest import Credit

NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)
MUTATIONS = int(os.environ.get("CREDIT_MUTATIONS", "300"))
LATER = datetime(2028, 1, 2, tzinfo=UTC)


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    """A copy of the bundle that a test may change."""
    return Path(shutil.copytree(bundle, tmp_path / "bundles" / bundle.name))


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A key and what trusts it: committee.pem, committee.toml."""
    make_key(tmp_path / "committee", "risk committee")
    return tmp_path / "committee.toml"


def test_a_signed_bundle_keeps_its_id_and_serves_with_and_without_trust(copy: Path, keys: Path) -> None:
    before = read_bundle(copy).bundle_id
    sign_bundle(copy, read_key(keys.with_suffix(".pem")), NOW)
    assert Scorer.open(copy).bundle.bundle_id == before
    scorer = open_trusted(copy, keys, NOW)
    (signed,) = signers(scorer.bundle, Trust.read(keys), NOW)
    assert (signed.name, signed.at) == ("risk committee", "2026-11-30T08:00:00+00:00")


@pytest.mark.process
def test_openssl_verifies_the_signature(copy: Path, keys: Path, tmp_path: Path) -> None:
    path = sign_bundle(copy, read_key(keys.with_suffix(".pem")), NOW)
    envelope = json.loads(path.read_text())
    (payload, signature) = (_decoded(envelope["payload"]), _decoded(envelope["signatures"][0]["sig"]))
    kind = envelope["payloadType"].encode()
    (tmp_path / "signed").write_bytes(b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload))
    (tmp_path / "signature").write_bytes(signature)
    command = (
        f"openssl pkey -in {keys.with_suffix('.pem')} -pubout -out {tmp_path}/public.pem && openssl pkeyutl -verify"
    )
    command += f" -pubin -inkey {tmp_path}/public.pem -rawin -in {tmp_path}/signed -sigfile {tmp_path}/signature"
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on this machine")
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert "Signature Verified Successfully" in done.stdout, done.stderr
    resources = {one["name"]: one["digest"] for one in json.loads(payload)["predicate"]["resources"]}
    assert resources == {**read_bundle(copy).manifest["files"], MANIFEST: copy.name}


def _decoded(text: str) -> bytes:
    return base64.b64decode(text)


def _refusal(bundle: Path, trust: Path, now: datetime = NOW) -> str:
    with pytest.raises(BundleError) as error:
        open_trusted(bundle, trust, now)
    return str(error.value)


def test_a_bundle_without_a_signature_is_refused(copy: Path, keys: Path) -> None:
    assert "it is not signed" in _refusal(copy, keys)


def test_a_signature_that_was_stripped_is_missed(copy: Path, keys: Path) -> None:
    sign_bundle(copy, read_key(keys.with_suffix(".pem")), NOW).unlink()
    assert "it is not signed" in _refusal(copy, keys)


def test_a_foreign_key_is_named_and_refused(copy: Path, keys: Path, tmp_path: Path) -> None:
    made = make_key(tmp_path / "foreign", "risk committee")  # the same name is no help
    sign_bundle(copy, read_key(tmp_path / "foreign.pem"), NOW)
    assert f"does not trust key '{made}'" in _refusal(copy, keys)


def test_a_foreign_signature_under_a_trusted_id_is_refused(copy: Path, keys: Path, tmp_path: Path) -> None:
    trusted = sign_bundle(copy, read_key(keys.with_suffix(".pem")), NOW)
    make_key(tmp_path / "foreign", "x")
    foreign = json.loads(sign_bundle(copy, read_key(tmp_path / "foreign.pem"), NOW).read_text())
    foreign["signatures"][0]["keyid"] = trusted.stem
    shutil.rmtree(trusted.parent)
    trusted.parent.mkdir()
    trusted.write_text(json.dumps(foreign))
    assert "is not that of key" in _refusal(copy, keys)


def test_the_signature_of_another_bundle_does_not_fit(copy: Path, keys: Path) -> None:
    path = sign_bundle(copy, read_key(keys.with_suffix(".pem")), NOW)
    manifest = json.loads((copy / MANIFEST).read_bytes())
    manifest["data"] = "other"
    changed = json.dumps(manifest, sort_keys=True, indent=2, ensure_ascii=False).encode() + b"\n"
    (copy / MANIFEST).write_bytes(changed)
    other = copy.rename(copy.with_name(hashlib.sha256(changed).hexdigest()))
    read_bundle(other)  # whoever can write the folder makes a bundle that verifies
    assert (other / "signatures" / path.name).exists()
    assert "signed another bundle with it" in _refusal(other, keys)


def test_a_signature_expires_on_its_day(copy: Path, keys: Path) -> None:
    sign_bundle(copy, read_key(keys.with_suffix(".pem")), NOW, datetime(2027, 6, 30, tzinfo=UTC).date())
    open_trusted(copy, keys, datetime(2027, 6, 30, 23, 59, tzinfo=UTC))
    assert "expired on 2027-06-30" in _refusal(copy, keys, datetime(2027, 7, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("line", "now", "words"),
    [
        ("not_after = 2027-12-31", LATER, "expired on 2027-12-31"),
        ("not_before = 2026-12-01", NOW, "holds from 2026-12-01 only"),
        ("revoked = true", NOW, "is revoked"),
    ],
)
def test_a_key_has_its_time(copy: Path, keys: Path, line: str, now: datetime, words: str) -> None:
    sign_bundle(copy, read_key(keys.with_suffix(".pem")), NOW)
    keys.write_text(keys.read_text() + line + "\n")
    assert words in _refusal(copy, keys, now)


def test_a_bundle_can_be_revoked_whoever_signed_it(copy: Path, keys: Path) -> None:
    sign_bundle(copy, read_key(keys.with_suffix(".pem")), NOW)
    keys.write_text(f'revoked_bundles = ["{copy.name}"]\n' + keys.read_text())
    assert "revokes this bundle" in _refusal(copy, keys)


def test_keys_rotate_by_files_of_a_folder(copy: Path, keys: Path, tmp_path: Path) -> None:
    folder = tmp_path / "trusted"
    folder.mkdir()
    make_key(tmp_path / "next", "risk committee 2027")
    for one in (keys, tmp_path / "next.toml"):
        shutil.copy(one, folder)
    sign_bundle(copy, read_key(tmp_path / "next.pem"), NOW)
    open_trusted(copy, folder, NOW)
    (folder / "next.toml").unlink()
    assert "does not trust key" in _refusal(copy, folder)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "trusts no key"),
        ("keys = 3", "something else than keys"),
        ("[keys.00]\nname = 'x'\npublic = 'AAAA'", "do not belong together"),
        ("[keys.00]\nname = 'x'", "no public key"),
        ("[keys.00]\npublic = 7\nname = 'x'", "no public key"),
        ("[keys", "is not TOML"),
    ],
)
def test_what_is_no_file_of_keys_is_refused(keys: Path, content: str, words: str) -> None:
    keys.write_text(content)
    with pytest.raises(SettingsError, match=words):
        Trust.read(keys)


@pytest.mark.parametrize("line", ["revokd = true", "not_after = '2027-12-31'", "revoked = 'yes'"])
def test_a_misspelt_limit_of_a_key_is_not_passed_over(keys: Path, line: str) -> None:
    keys.write_text(keys.read_text() + line + "\n")
    with pytest.raises(SettingsError, match="keys"):
        Trust.read(keys)


def test_no_mutation_of_bundle_or_signature_is_accepted(copy: Path, keys: Path) -> None:
    """Each file by turns: bits turned, bytes cut, put in or doubled."""
    sign_bundle(copy, read_key(keys.with_suffix(".pem")), NOW)
    trust, chance = Trust.read(keys), random.Random(20)  # noqa: S311 - the same mutations each time
    files = [path for path in sorted(copy.rglob("*")) if path.is_file()]
    for number in range(MUTATIONS):
        path = files[number % len(files)]
        content = path.read_bytes()
        changed = _mutated(content, chance)
        path.write_bytes(changed)
        try:
            found = read_bundle(copy)
            signers(found, trust, NOW)
        except CreditError:
            pass
        else:
            assert _same_envelope(path, content, changed), f"{path}: accepted"
        finally:
            path.write_bytes(content)
    open_trusted(copy, keys, NOW)


def _mutated(content: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(content))
    return chance.choice(
        (
            content[:place] + bytes([content[place] ^ (1 << chance.randrange(8))]) + content[place + 1 :],
            content[:place] + content[place + 1 + chance.randrange(8) :],
            content[:place] + chance.randbytes(3) + content[place:],
            content[:place] + content[place:] * 2,
        )
    )


def _same_envelope(path: Path, before: bytes, after: bytes) -> bool:
    """Whether only the JSON around what is signed differs: white space, say."""
    return path.parent.name == "signatures" and json.loads(before) == json.loads(after)


def test_the_commands_make_a_key_sign_and_verify(copy: Path, tmp_path: Path, credit: Credit) -> None:
    made = credit("bundle", "keygen", "--name", "Ada", "--out", tmp_path / "ada")
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "ada.pem").stat().st_mode & 0o777 == 0o600
    assert credit("bundle", "keygen", "--name", "Ada", "--out", tmp_path / "ada").returncode == 2
    assert credit("bundle", "sign", copy, "--key", tmp_path / "ada.pem").returncode == 0
    done = credit("bundle", "verify", copy, "--trust", tmp_path / "ada.toml")
    assert done.returncode == 0
    assert "signed by Ada" in done.stdout
    assert credit("bundle", "verify", copy, "--trust", tmp_path / "none.toml").returncode == 2


def test_a_batch_refuses_what_nobody_signed_and_writes_nothing(
    copy: Path, keys: Path, tonight: Path, credit: Credit
) -> None:
    inputs = [f"--{name}={tonight / name}.csv" for name in ("applications", "events")]
    command = ["score", "--bundle", copy, *inputs, "--out", tonight / "decisions.csv", "--trust", keys]
    done = credit(*command)
    assert (done.returncode, (tonight / "decisions.csv").exists()) == (2, False)
    assert "it is not signed" in done.stderr
    sign_bundle(copy, read_key(keys.with_suffix(".pem")), NOW)
    assert credit(*command).returncode == 0


@pytest.mark.process
@pytest.mark.parametrize("door", ["serve", "stream run --brokers 127.0.0.1:1 --group g"])
def test_a_live_door_does_not_start(copy: Path, keys: Path, door: str, credit: Credit) -> None:
    rest = ["--no-auth", "--port=0"] if door == "serve" else []
    done = credit(*door.split(), "--bundle", copy, "--trust", keys, *rest)
    assert done.returncode == 2, done.stderr
    assert "it is not signed" in done.stderr
