"""Signed heads of a decision log: who writes the whole log anew, with chains that hold, is caught."""

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest

from recipes.dataset import Dataset
from registry.envelope import Envelope
from scoring.scorer import Scorer
from tests.conftest import Credit
from tests.receipt_parts import some_receipts, write_log


@pytest.fixture(scope="module")
def receipts(scorer: Scorer, dataset: Dataset) -> pl.DataFrame:
    return some_receipts(scorer, dataset, 30)


@pytest.fixture
def log(receipts: pl.DataFrame, tmp_path: Path, credit: Credit) -> Path:
    """Two writers; `heads.json` beside it is signed by `auditor`."""
    log = tmp_path / "log"
    write_log(log, [receipts[:10], receipts[10:20]])
    write_log(log, [receipts[20:]], "rest-1")
    for name in ("auditor", "stranger"):
        assert credit("bundle", "keygen", "--name", name, "--out", tmp_path / name).returncode == 0
    done = credit("log", "sign", log, "--key", tmp_path / "auditor.pem", "--out", tmp_path / "heads.json")
    assert done.returncode == 0, done.stderr
    assert f"2 chains, {receipts.height} receipts" in done.stdout
    return log


def verified(credit: Credit, log: Path, heads: str = "heads.json", *more: object) -> tuple[int, str]:
    there = log.parent
    done = credit("log", "verify", log, "--heads", there / heads, "--trust", there / "auditor.toml", *more)
    return done.returncode, done.stdout + done.stderr


def test_a_log_that_goes_on_and_expires_agrees_with_its_signed_heads(
    log: Path, receipts: pl.DataFrame, credit: Credit
) -> None:
    code, said = verified(credit, log)
    assert (code, "auditor signed the heads of 2 chains" in said) == (0, True), said
    assert "Keep the heads elsewhere" not in said
    write_log(log, [receipts[:5]])
    assert credit("log", "expire", log, "--before", "2030-01-01").returncode == 0
    code, said = verified(credit, log)
    assert code == 0, said


def test_a_log_that_was_written_anew_is_caught_by_its_signed_heads_alone(
    log: Path, receipts: pl.DataFrame, credit: Credit
) -> None:
    shutil.rmtree(log)
    write_log(log, [receipts[:10], receipts[11:20]])  # without one that somebody would be rid of
    write_log(log, [receipts[20:]], "rest-1")
    assert credit("log", "verify", log).returncode == 0, "its chains hold"
    code, said = verified(credit, log)
    assert code == 1
    assert "auditor signed segment 2 of batch-1" in said
    assert "another segment stands there now" in said


def test_a_log_without_its_end_or_a_writer_is_caught(log: Path, receipts: pl.DataFrame, credit: Credit) -> None:
    shutil.rmtree(log)
    write_log(log, [receipts[:10]])
    code, said = verified(credit, log)
    assert code == 1
    assert said.count("no segment stands there now") == 2


def test_heads_that_no_trusted_key_signed_do_not_count(log: Path, credit: Credit) -> None:
    there = log.parent
    signed = Envelope.read((there / "heads.json").read_bytes())
    other = signed.payload.replace(b'"number":2', b'"number":1')
    assert other != signed.payload
    (there / "forged.json").write_bytes(Envelope(signed.kind, other, signed.signatures).written())
    (there / "kind.json").write_bytes(Envelope("text/plain", signed.payload, signed.signatures).written())
    (there / "none.json").write_text("{}")
    done = credit("log", "sign", log, "--key", there / "stranger.pem", "--out", there / "strange.json")
    assert done.returncode == 0
    for name in ("forged.json", "kind.json", "none.json", "strange.json", "missing.json"):
        code, said = verified(credit, log, name)
        assert (code, name in said) == (1, True), said
    keys = there / "auditor.toml"
    keys.write_text(keys.read_text() + "revoked = true\n")
    code, said = verified(credit, log)
    assert (code, "is revoked" in said) == (1, True)


def test_what_cannot_be_signed_is_said(log: Path, credit: Credit) -> None:
    there = log.parent
    assert credit("log", "verify", log, "--heads", there / "heads.json").returncode == 2, "whose keys count?"
    inside = credit("log", "sign", log, "--key", there / "auditor.pem", "--out", log / "heads.json")
    assert (inside.returncode, "lies in the log" in inside.stderr) == (2, True)
    shutil.rmtree(log / "writers" / "rest-1")
    done = credit("log", "sign", log, "--key", there / "auditor.pem", "--out", there / "more.json")
    assert (done.returncode, "nothing was signed" in done.stderr) == (1, True)
    assert not (there / "more.json").exists()
    found = json.loads(credit("log", "verify", log, "--json").stdout)
    assert not found["intact"]
    assert "links" not in found


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A time-stamp authority of OpenSSL: its URL and its root certificate."""
    folder = tmp_path_factory.mktemp("authority")
    (folder / "ts.cnf").write_text(_TS)

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    subject = ("-nodes", "-newkey", "rsa:2048", "-days", "30")
    openssl("req", "-x509", *subject, "-subj", "/CN=Root", "-keyout", "root.key", "-out", "root.pem")
    openssl("req", *subject[:3], "-subj", "/CN=Authority", "-keyout", "tsa.key", "-out", "tsa.csr")
    signed = ("-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-days", "30")
    openssl("x509", "-req", "-in", "tsa.csr", *signed, "-extfile", "ts.cnf", "-extensions", "cert", "-out", "tsa.pem")

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            (folder / "query").write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
            openssl("ts", "-reply", "-config", "ts.cnf", "-queryfile", "query", "-out", "reply")
            self.send_response(200)
            self.end_headers()
            self.wfile.write((folder / "reply").read_bytes())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}", folder / "root.pem"
        server.shutdown()


_TS = """
[cert]
basicConstraints = CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[tsa]
default_tsa = authority
[authority]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256,sha384,sha512
ess_cert_id_alg = sha256
"""


@pytest.mark.process
def test_a_time_stamp_says_when_the_heads_were_signed(log: Path, authority: tuple[str, Path], credit: Credit) -> None:
    url, root = authority
    there = log.parent
    done = credit("log", "sign", log, "--key", there / "auditor.pem", "--out", there / "stamped.json", "--tsa", url)
    assert done.returncode == 0, done.stderr
    code, said = verified(credit, log, "stamped.json", "--tsa-roots", root)
    assert (code, "as a time-stamp authority says" in said) == (0, True), said
    assert verified(credit, log, "stamped.json")[0] == 0, "who does not ask takes the signer's clock"
    code, said = verified(credit, log, "heads.json", "--tsa-roots", root)
    assert (code, "has no time stamp" in said) == (1, True), said
    credit("log", "sign", log, "--key", there / "stranger.pem", "--out", there / "other.json")
    documents = [json.loads((there / name).read_text()) for name in ("stamped.json", "other.json")]
    (there / "moved.json").write_text(json.dumps(documents[1] | {"timestamp": documents[0]["timestamp"]}))
    (there / "cut.json").write_text(json.dumps(documents[0] | {"timestamp": documents[0]["timestamp"][:400]}))
    other = root.with_name("tsa.pem")
    for name, roots in (("moved.json", root), ("cut.json", root), ("stamped.json", other)):
        code, said = verified(credit, log, name, "--tsa-roots", roots)
        assert (code, "time stamp" in said) == (1, True), (name, said)
    lost = credit(
        *("log", "sign", log, "--key", there / "auditor.pem", "--out", there / "l.json", "--tsa", "http://127.0.0.1:9")
    )
    assert (lost.returncode, (there / "l.json").exists()) == (4, False)
