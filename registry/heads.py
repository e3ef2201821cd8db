"""Signed heads of a decision log: kept elsewhere, they show that the log was not written anew."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from features.errors import InputError
from registry.envelope import Envelope, NotTrustedError, as_text, decoded
from registry.trust import Trust

if TYPE_CHECKING:
    from registry.keys import Key

_KIND = "application/vnd.credit-scoring.log-heads+json"
_STAMP = "timestamp"  # beside what DSSE names


@dataclass(frozen=True, slots=True)
class SignedHeads:
    """The heads that a trusted key signed: of each writer the number of its last segment then, and that one's hash.

    `stamped`: whether `at` is what a time-stamp authority says.
    """

    name: str
    at: str
    heads: dict[str, tuple[int, str]]
    stamped: bool = False

    def differences(self, links: Mapping[tuple[str, int], str]) -> list[str]:
        """Say where the chains of a log, as `links` by writer and number, are not those that were signed."""
        found = []
        for writer, (number, link) in sorted(self.heads.items()):
            if (there := links.get((writer, number))) != link:
                what = "another segment" if there else "no segment"
                found.append(
                    f"{self.name} signed segment {number} of {writer} on {self.at}, and {what} stands there now. The "
                    "log was written anew, cut or replaced since then."
                )
        return found


def sign_heads(heads: Sequence[tuple[str, int, str]], key: "Key", now: datetime, tsa: str | None = None) -> bytes:
    """Return a document that says of each writer the number and the hash of its last segment, signed.

    `tsa`: the URL of an authority that stamps the signature with the time.

    Raises:
        SettingsError: that is no URL.
        DeliveryError: the authority stamps nothing.

    """
    listed = [{"writer": writer, "number": number, "hash": link} for writer, number, link in sorted(heads)]
    payload = {"signed_at": now.astimezone(UTC).isoformat(timespec="seconds"), "heads": listed}
    envelope = Envelope.of(_KIND, json.dumps(payload, sort_keys=True, separators=(",", ":")).encode(), key)
    if tsa is None:
        return envelope.written()
    from registry.timestamps import stamp  # noqa: PLC0415 - needs the extra `sign`

    document = json.loads(envelope.written()) | {_STAMP: as_text(stamp(_signatures(envelope), tsa))}
    return json.dumps(document, indent=2).encode() + b"\n"


def _signatures(envelope: Envelope) -> bytes:
    """Return what is stamped with the time."""
    return b"".join(signature for _, signature in envelope.signatures)


def read_heads(path: Path, trust: Trust, now: datetime, roots: Path | None = None) -> SignedHeads:
    """Read what `sign_heads` returned, if a trusted key signed it.

    A key that has expired since still counts for what it signed before; one that is revoked does not. `roots`: with
    these certificates of time-stamp authorities when it was signed is what one of them says, else what the signer does.

    Raises:
        InputError: the file cannot be read, or no signature or no time stamp counts; says why.
        SettingsError: the certificates cannot be read.

    """
    try:
        content = path.read_bytes()
        envelope = Envelope.read(content)
        payload = json.loads(envelope.payload)
        at = datetime.fromisoformat(str(payload["signed_at"]))
        if roots is not None:
            at = _stamped_at(content, envelope, roots)
        key = trust.signer(envelope, _KIND, min(at, now))
        heads = {str(one["writer"]): (int(one["number"]), str(one["hash"])) for one in payload["heads"]}
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    except NotTrustedError as error:
        raise InputError(f"{path}: these heads of a log do not count: {error}.") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: holds no signed heads of a log, as `credit log sign` writes them.") from error
    return SignedHeads(key.name, at.isoformat(), heads, stamped=roots is not None)


def _stamped_at(content: bytes, envelope: Envelope, roots: Path) -> datetime:
    from registry.timestamps import stamped_at  # noqa: PLC0415 - needs the extra `sign`

    token = json.loads(content).get(_STAMP)
    if token is None:
        raise NotTrustedError("it has no time stamp: sign with --tsa, or leave --tsa-roots out")
    return stamped_at(decoded(token), _signatures(envelope), roots)
